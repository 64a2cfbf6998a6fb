"""Guesses at the door, counted in Redis for all processes: after a few wrong ones each further try waits twice as long."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from hub.core.errors import Unavailable

SCRIPT = Path(__file__).with_name("attempts.lua").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` tries, then a lock of `first` seconds that doubles with each wrong try up to `longest`; forgotten after
    `memory` seconds without a try."""

    free: int
    first: int
    longest: int
    memory: int


ACCOUNT = Limit(free=5, first=30, longest=3600, memory=24 * 3600)
ADDRESS = Limit(free=30, first=60, longest=3600, memory=24 * 3600)
"""An office has one address: more people, more typing mistakes."""
NOTED = 100
"""Tries refused during one lock that are written down; a flood must not fill the database."""
TOLD_PER_DAY = 10
"""Letters about locks to the owners: a flood must not fill their mailbox."""


@dataclass(frozen=True, slots=True)
class Take:
    """`wait`: seconds until the next try is looked at, 0 if this one is. `locks`: this try, if wrong, locks the account
    or the network address. `noted`: whether to write a refused try down."""

    wait: float
    locks: bool = False
    noted: bool = True


class Attempts:
    """Accounts are counted by the address that was typed, whether somebody has it or not."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace
        self._script: Any = redis.register_script(SCRIPT)

    def take(self, email: str, address: str, now: datetime) -> Take:
        """Count a try before it is looked at."""
        wait, account, place, refused = self._run("take", email, address, now)
        return Take(wait / 1000, bool(account or place), refused <= NOTED)

    def give_back(self, email: str, address: str, now: datetime) -> None:
        """The try was right, but a second factor is still to come."""
        self._run("give_back", email, address, now)

    def clear(self, email: str, address: str, now: datetime) -> None:
        """Signed in, or the password was reset: the account begins anew. The network address does not."""
        self._run("clear", email, address, now)

    def first_today(self, email: str) -> bool:
        """Whether to tell the owners of a lock of this account: once a day, and not more than a few a day in all."""
        if not self._redis.set(self._key("told", email), 1, nx=True, ex=24 * 3600):
            return False
        count = self._key("told", "count")
        told = int(self._redis.incr(count))
        if told == 1:
            self._redis.expire(count, 24 * 3600)
        return told <= TOLD_PER_DAY

    def once(self, what: str, seconds: int) -> bool:
        """True for the first who asks with these words within the time: a code works once."""
        try:
            return bool(self._redis.set(self._key("once", what), 1, nx=True, ex=seconds))
        except RedisError as error:
            raise away(error) from error

    def _run(self, verb: str, email: str, address: str, now: datetime) -> list[int]:
        keys = [self._key("account", email), self._key("address", network(address))]
        limits = [
            part
            for limit in (ACCOUNT, ADDRESS)
            for part in (limit.free, limit.first * 1000, limit.longest * 1000, limit.memory * 1000)
        ]
        try:
            found: list[int] = self._script(keys=keys, args=[verb, int(now.timestamp() * 1000), *limits])
        except RedisError as error:
            raise away(error) from error
        return found

    def _key(self, kind: str, text: str) -> str:
        digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
        return f"{self._namespace}:sign-in:{kind}:{digest}"


def away(error: Exception) -> Unavailable:
    """Nobody guesses while nobody counts: without Redis the door stays shut."""
    return Unavailable(
        "The hub's Redis does not answer",
        cause=type(error).__name__,
        cure="Wait a minute, then try again; hub doctor says more",
    )


def network(address: str) -> str:
    """What one person has: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)
