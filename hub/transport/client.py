"""Makes calls: pooled connections, time-outs, the budget before each call, redirects refused, errors from the table."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from authlib.integrations.requests_client import OAuth2Session
from urllib3 import Retry
from urllib3.exceptions import HTTPError, ReadTimeoutError

from hub import __version__
from hub.core.errors import HubError, Invalid, ReauthorizeNeeded, Unavailable
from hub.core.http import Answer, Auth, Budget, Call, NoBudget, TokenStore
from hub.core.redact import redact
from hub.core.types import Lane
from hub.transport.guard import GuardedAdapter, check_host
from hub.transport.signing import OAuth2Auth, make_auth
from hub.transport.verdicts import Judge, judge_answer

log = logging.getLogger("hub.transport")


def _redact_record(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), None
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_redact_record)  # it writes down whole URLs, signed ones too


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Seconds; `largest_body` in bytes; `private_hosts` are hosts (or host:port) an admin listed as allowed."""

    connect_timeout: float = 5.0
    read_timeout: float = 25.0
    largest_body: int = 64 * 2**20
    private_hosts: frozenset[str] = frozenset()
    ca_bundle: str | None = None
    in_flight: int = 8


class Http:
    """A client for one connection. `bind` gives it the address and the signature; threads may share it."""

    def __init__(
        self,
        connection: str,
        settings: HttpSettings | None = None,
        *,
        budget: Budget | None = None,
        tokens: TokenStore | None = None,
    ) -> None:
        self.connection = connection
        self.settings = settings or HttpSettings()
        self.budget: Budget = budget or NoBudget()
        self.tokens = tokens
        self.base_url = ""
        self.lane: Lane | None = None
        """Set for a whole job, it beats the lane of the single calls (an opt-out is urgent whatever it calls)."""
        self._timeouts = (self.settings.connect_timeout, self.settings.read_timeout)
        self._judge: Judge | None = None
        self._auth: Any = None
        self._session = self._prepare(requests.Session())
        self._token_session: OAuth2Session | None = None

    def _prepare(self, session: Any) -> Any:
        adapter = GuardedAdapter(
            self.settings.private_hosts,
            pool_maxsize=self.settings.in_flight,
            max_retries=Retry(0, read=False),
        )
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.trust_env = False
        session.verify = self.settings.ca_bundle or True
        session.headers["User-Agent"] = f"hub/{__version__}"
        return session

    def bind(self, base_url: str, auth: Auth | None = None, *, judge: Judge | None = None) -> Http:
        """A client on the same connection, budget and token store, for this address and signature."""
        check_address(base_url)
        bound = Http(self.connection, self.settings, budget=self.budget, tokens=self.tokens)
        bound.base_url = base_url.rstrip("/")
        bound.lane = self.lane
        bound._judge = judge
        bound._token_session = bound._prepare(OAuth2Session(default_timeout=bound._timeouts))
        bound._auth = make_auth(auth, bound.base_url, self.tokens, bound._token_session)
        return bound

    def call(self, call: Call) -> Answer:
        """Make one call and return its successful answer; everything else is raised as the error it stands for."""
        token_before = self.tokens.load() if isinstance(self._auth, OAuth2Auth) and self.tokens else None
        answer = self._send(call)
        if answer.status == 401 and token_before is not None:
            self._auth.refresh(token_before)
            answer = self._send(call)
        error = judge_answer(answer, connection=self.connection, judge=self._judge, now=datetime.now(UTC))
        if error is not None:
            raise error
        return answer

    def call_ahead(self, calls: Iterable[Call], width: int) -> Iterator[Answer]:
        """Answers in the order of the calls, with up to `width` calls in flight; stops asking when not read further."""
        waiting = iter(calls)
        if width <= 1:
            yield from map(self.call, waiting)
            return
        pool = ThreadPoolExecutor(width, thread_name_prefix="ahead")
        try:
            flying: list[Future[Answer]] = [pool.submit(self.call, call) for call in islice(waiting, width)]
            while flying:
                answer = flying.pop(0).result()
                flying.extend(pool.submit(self.call, call) for call in islice(waiting, 1))
                yield answer
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, call: Call) -> Answer:
        self.budget.take(self.lane or call.lane)
        url = self.base_url + call.path
        started = time.perf_counter()
        headers = {"Accept": "application/json", **call.headers}
        data: Any = call.form
        if call.json is not None:
            headers["Content-Type"] = "application/json"
            data = orjson.dumps(call.json)
        try:
            response = self._session.request(
                call.method,
                url,
                params=call.query or None,
                data=data,
                headers=headers,
                auth=self._auth,
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            )
            body = self._read_body(response)
        except HubError as error:
            self._name(error)
            raise
        except (requests.RequestException, HTTPError, OSError) as error:
            # Not «from error»: its text holds the URL, which may be signed, and would be logged along.
            raise self._unreachable(url, error) from None
        answer = Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            body,
            time.perf_counter() - started,
        )
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "call %s %s → %s",
                call.method,
                redact(call.path),
                answer.status,
                extra={"connection": self.connection, "status": answer.status, "ms": round(answer.elapsed * 1000)},
            )
        self.budget.learn(answer)
        return answer

    def _name(self, error: HubError) -> None:
        if isinstance(error, Unavailable | ReauthorizeNeeded) and not error.connection:
            error.connection = self.connection

    def _read_body(self, response: requests.Response) -> bytes:
        """The whole body, however slowly it drips, up to the size and twice the time that are allowed."""
        limit = self.settings.largest_body
        deadline = time.monotonic() + 2 * self.settings.read_timeout
        pieces: list[bytes] = []
        size = 0
        with response:
            # `read1` gives what is there; `iter_content` would wait for a full piece, out of reach of the deadline.
            while piece := response.raw.read1(256 * 1024, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise Unavailable("The answer is larger than {limit} bytes", limit=limit, after=600.0)
                if time.monotonic() > deadline:
                    raise Unavailable("The platform sends its answer too slowly", after=60.0)
        return b"".join(pieces)

    def _unreachable(self, url: str, error: Exception) -> HubError:
        cause = _innermost(error)
        if isinstance(cause, HubError):
            return cause
        parts = urlsplit(url)
        host = parts.hostname or url
        try:  # a closed port inside must not look different from an open one
            check_host(host, parts.port or (443 if parts.scheme == "https" else 80), self.settings.private_hosts)
        except HubError as private:
            return private
        message, cure = _explain(error)
        return Unavailable(message, cure=cure, connection=self.connection, cause=redact(str(cause)), host=host)


def _innermost(error: BaseException) -> BaseException:
    """The first cause: requests and urllib3 wrap what we raise while connecting."""
    seen = error
    for _ in range(10):
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            args = [arg for arg in seen.args if isinstance(arg, BaseException)]
            inner = args[0] if args else None
        if inner is None or isinstance(seen, HubError):
            break
        seen = inner
    return seen


def _explain(error: Exception) -> tuple[str, str]:
    """What a failed connection means for the person who typed the address."""
    text = str(error)
    again = "The hub tries again by itself"
    if isinstance(error, requests.exceptions.SSLError):
        return (
            "The certificate of {host} cannot be trusted",
            "Mend the certificate, or name its authority in HUB_CA_BUNDLE",
        )
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return "{host} did not answer in time", again
    if "Name or service not known" in text or "NameResolution" in text or "getaddrinfo" in text:
        return "The name {host} does not exist", "Check the setting «url» for a typing mistake"
    if "refused" in text:
        return "{host} refuses the connection", "Check the port in the setting «url», and whether the shop is running"
    return "{host} cannot be reached", again


def check_address(url: str, private_hosts: Iterable[str] | None = None) -> None:
    """Refuse what is not an http(s) address with a host; with `private_hosts` given, also what leads inside."""
    parts = urlsplit(url)
    wrong = ""
    try:
        port = parts.port
    except ValueError:
        port, wrong = None, "The port in the address is not a number"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        wrong = "This is not a web address; it starts with https:// and has a host, for example https://shop.example"
    elif parts.username or parts.password:
        wrong = "Keys do not belong into the address; give them in their own fields"
    elif parts.query or parts.fragment:
        wrong = "The address ends before «?» and «#»"
    if wrong:
        raise Invalid("The address cannot be used", fields={"url": wrong})
    if private_hosts is not None:
        default = 443 if parts.scheme == "https" else 80
        check_host(parts.hostname or "", port or default, frozenset(private_hosts))


def header_number(headers: Mapping[str, str], name: str) -> float | None:
    """A numeric header, or None."""
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None
