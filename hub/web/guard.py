"""Who may see the console before it has accounts: only a browser on this very machine, asking by a local name.

A local address alone is not enough: a reverse proxy on the same machine would let the world in, and a foreign web site
can point its own name at 127.0.0.1 and read our pages (DNS rebinding). Hence the two other checks.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from flask import Request

from hub.core.errors import Forbidden

LOCAL_NAME = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?\Z", re.I)
PROXY_HEADERS = ("forwarded", "via", "x-real-ip")
CURE = "Open the console in a browser on the hub's own machine, or through an SSH tunnel: ssh -L 8321:127.0.0.1:8321 SERVER"


class NotLocal(Forbidden):
    """The console has no login yet, so it answers nobody but this machine."""

    code = "not_local"
    message = "This console answers on this machine only"
    cure = CURE


def require_local(request: Request) -> None:
    """`NotLocal`, with the reason, unless the request was made on this machine, without a proxy, by a local name."""
    if not _is_loopback(request.remote_addr):
        raise NotLocal("This console answers on this machine only, and the request came from another one")
    if any(_tells_of_proxy(name.lower()) for name in request.headers.keys()):  # noqa: SIM118 - headers iterate as pairs
        raise NotLocal("This console answers on this machine only, and the request came through a proxy")
    if not LOCAL_NAME.match(request.headers.get("Host", "")):
        raise NotLocal("This console answers on this machine only, and the request asked for another host name")


def _is_loopback(address: str | None) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False  # a Unix socket has no address: whoever stands before it is a proxy
    return found.is_loopback


def _tells_of_proxy(header: str) -> bool:
    return header.startswith("x-forwarded") or header in PROXY_HEADERS
