"""Posting a signed body to an address that somebody typed: one attempt, no redirect followed, little of the answer read."""

from __future__ import annotations

import time
from collections.abc import Mapping

import requests
from urllib3.exceptions import HTTPError

from hub.core.errors import HubError
from hub.core.http import Answer
from hub.transport.client import Http

LARGEST_ANSWER = 4096
"""Bytes of an answer that are read; the rest is left on the wire."""


class Postman(Http):
    """The guarded client for addresses outside of any platform. Every status is an answer; only silence is an error."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post exactly these bytes. Raises `PrivateHost` where the connection leads inside, else `Unavailable`."""
        started = time.perf_counter()
        try:
            response = self._session.post(
                url, data=body, headers=dict(headers), timeout=self._timeouts, allow_redirects=False, stream=True
            )
            with response:
                beginning = response.raw.read1(LARGEST_ANSWER, decode_content=False)
        except HubError:
            raise
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            # Not «from error»: its text holds the URL, which may carry a key.
            raise self._unreachable(url, error) from None
        finally:
            self._session.close()
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, named, beginning[:LARGEST_ANSWER], time.perf_counter() - started)
