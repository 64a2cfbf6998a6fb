"""Addresses that an admin types must not lead into private networks (SSRF), also not after DNS changed its mind.

The check is made on the connected socket's own peer, so nothing can differ between the look-up and the call.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from hub.core.errors import Invalid

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays, out of use
        "::/96",  # IPv4 inside IPv6, in a form out of use
        "::ffff:0:0:0/96",  # IPv4 translated
        "64:ff9b:1::/48",  # NAT64 within one network
        "fec0::/10",  # site-local, out of use
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
"""Not routed on the public internet, but global to `ipaddress` in some Python versions."""
MESSAGE = "The address leads into a private network: {host}"
CURE = "Use the public address, or list the host in HUB_ALLOW_PRIVATE_HOSTS"


class PrivateHost(Invalid):
    code = "private_host"

    def __init__(self, host: str) -> None:
        super().__init__(MESSAGE, cure=CURE, fields={"url": MESSAGE}, host=host)


def is_private(address: str) -> bool:
    """True for every address that is not plainly on the public internet, IPv4 inside IPv6 included."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return True
    if any(ip in network for network in NOT_PUBLIC):
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return not inner.is_global
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return not ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF).is_global
    return not ip.is_global or ip.is_multicast


def is_listed(host: str, port: int | None, allowed: Collection[str]) -> bool:
    """Whether an admin listed the host, as `host` or `host:port`."""
    host = host.strip("[]").lower()
    return host in allowed or (port is not None and f"{host}:{port}" in allowed)


def check_host(host: str, port: int, allowed: Collection[str]) -> None:
    """Refuse a host with any look-up that is private, before anything is sent; unknown names are left to the call."""
    if is_listed(host, port, allowed):
        return
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        return
    except UnicodeError as error:  # an empty or too long part between dots
        raise Invalid("The address cannot be used", fields={"url": "There can be no such host name"}) from error
    if any(is_private(address) for address in found):
        raise PrivateHost(host)


def _guarded(base: type[HTTPConnection], allowed: Collection[str]) -> type[HTTPConnection]:
    class Guarded(base):  # type: ignore[misc,valid-type]
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            if not is_listed(self.host, self.port, allowed) and is_private(connected.getpeername()[0]):
                connected.close()
                raise PrivateHost(self.host)
            return connected

    return Guarded


class GuardedAdapter(HTTPAdapter):
    """A requests adapter whose connections check where they really lead."""

    def __init__(self, allowed: Collection[str], **rest: Any) -> None:
        self._allowed = frozenset(allowed)
        super().__init__(**rest)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **rest: Any) -> None:
        plain = type("Plain", (HTTPConnectionPool,), {"ConnectionCls": _guarded(HTTPConnection, self._allowed)})
        tls = type("Tls", (HTTPSConnectionPool,), {"ConnectionCls": _guarded(HTTPSConnection, self._allowed)})
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **rest)
        manager.pool_classes_by_scheme = {"http": plain, "https": tls}
        self.poolmanager = manager
