"""The same tests on the bundled server and on a Redis of the developer's own, where there is one."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hub.store.redis_server import EmbeddedRedis

OWN_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hub-test-") as name, EmbeddedRedis(Path(name)) as server:
        yield server.url


@pytest.fixture(scope="module", params=["embedded", "own"])
def url(request: pytest.FixtureRequest, embedded: str) -> str:
    if request.param == "embedded":
        return embedded
    try:
        with Redis.from_url(OWN_URL, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except RedisError:
        pytest.skip("no Redis at TEST_REDIS_URL")
    return OWN_URL


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    prefix = f"test-{uuid.uuid4().hex}"
    with Redis.from_url(url) as client:
        client.test_prefix = prefix  # type: ignore[attr-defined]
        yield client
        for key in client.scan_iter(f"{prefix}:*"):
            client.delete(key)
