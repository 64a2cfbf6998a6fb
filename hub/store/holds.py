"""What has to wait for an API budget or a throttle, in Redis: hints for the relay, safe to lose."""

from __future__ import annotations

from collections.abc import Iterable

from redis import Redis
from redis.exceptions import RedisError


class RedisHolds:
    """One key per hold, gone by itself when it is over."""

    def __init__(self, redis: Redis, prefix: str = "hub") -> None:
        self._redis = redis
        self._prefix = prefix

    def hold(self, key: str, seconds: float) -> None:
        milliseconds = max(1, int(seconds * 1000))
        try:
            self._redis.set(f"{self._prefix}:hold:{key}", 1, px=milliseconds)
        except RedisError:
            return  # without the hint a call is refused once more, nothing else

    def waiting(self, keys: Iterable[str]) -> dict[str, float]:
        """Seconds still to wait, for those that must."""
        listed = list(keys)
        if not listed:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for key in listed:
            pipeline.pttl(f"{self._prefix}:hold:{key}")
        return {key: left / 1000 for key, left in zip(listed, pipeline.execute(), strict=True) if left > 0}
