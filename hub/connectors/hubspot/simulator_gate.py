"""What stands before every call of the simulated HubSpot: tokens, scopes, limits, faults on request, and counters."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

CLIENT_ID = "0a1b2c3d-made-up-client"
CLIENT_SECRET = "11111111-2222-4333-8444-555555555555"  # noqa: S105 (made up)
REFRESH_TOKEN = "eu1-made-up-refresh-token-1"  # noqa: S105 (made up)
FIXED_TOKEN = "pat-eu1-0a1b2c3d-4e5f-4a6b-8c7d-made00000001"  # noqa: S105 (made up)
SCOPES = (
    "automation",
    "crm.lists.read",
    "crm.lists.write",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "oauth",
)


class Refuse(Exception):
    """An answer that is not a success, in HubSpot's shape."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = {"status": "error", "correlationId": str(uuid4()), **body}
        self.headers = headers or {}


def invalid(message: str, **rest: Any) -> Refuse:
    return Refuse(400, {"message": message, "category": "VALIDATION_ERROR", **rest})


def not_found(message: str = "resource not found") -> Refuse:
    return Refuse(404, {"message": message, "category": "OBJECT_NOT_FOUND"})


class Gate:
    """`burst` calls in each rolling `window` seconds, `daily` calls a day (0: no limit); access tokens live `token_life` s."""

    def __init__(
        self, *, burst: int, window: float, daily: int, token_life: float, zone: str, clock: Callable[[], float]
    ) -> None:
        self.burst, self.window, self.daily, self.token_life = burst, window, daily, token_life
        self.zone = ZoneInfo(zone)
        self.clock = clock
        self.refresh_token = REFRESH_TOKEN
        self.revoked = False
        self.access: dict[str, float] = {}
        self.refreshes = 0
        self.missing_scopes: set[str] = set()
        self.migrating_until = 0.0
        self.to_lock = self.to_lose = self.to_fail = 0
        self.fail_status = 503
        self.calls = self.throttled = self.writes = 0
        self.by_path: Counter[str] = Counter()
        self.window_max = 0
        self._passed: deque[float] = deque()
        self._seen: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._day, self._today = "", 0

    def restore(self) -> None:
        """Take all faults away; a revoked grant stays revoked until `renew`."""
        self.to_lock = self.to_lose = self.to_fail = 0
        self.migrating_until = 0.0
        self.missing_scopes.clear()

    def renew(self) -> str:
        """A new grant, as after the admin connected again: the new refresh token."""
        self.revoked = False
        self.refresh_token = f"eu1-made-up-refresh-token-{secrets.token_hex(4)}"
        return self.refresh_token

    def admit(self, path: str, token: str, scope: str, *, writes: bool, search: bool) -> dict[str, str]:
        """Let a call pass and return the limit's headers, or raise what HubSpot would answer."""
        now = self.clock()
        self.calls += 1
        self.by_path[path] += 1
        if not search:
            self._note(now)
        if self.to_fail:
            self.to_fail -= 1
            raise Refuse(self.fail_status, {"message": "fault on request"})
        if now < self.migrating_until:
            wait = {"Retry-After": str(int(self.migrating_until - now) + 1)}
            raise Refuse(477, {"message": "Migration in progress", "category": "MIGRATION"}, wait)
        self._know(token, now)
        headers = self._count_search(now) if search else self._count(now, token)
        if scope in self.missing_scopes:
            raise Refuse(403, _missing_scope(scope), headers)
        if writes and self.to_lock:
            self.to_lock -= 1
            raise Refuse(423, {"message": "The resource is locked", "category": "LOCKED"}, headers)
        return headers

    def _note(self, now: float) -> None:
        """The highest number of calls in any rolling window, refused ones included."""
        self._seen.append(now)
        while self._seen[0] <= now - self.window:
            self._seen.popleft()
        self.window_max = max(self.window_max, len(self._seen))

    def _know(self, token: str, now: float) -> None:
        if token == FIXED_TOKEN:
            return
        if token not in self.access:
            body = {"message": "Authentication credentials not found or not valid.", "category": "INVALID_AUTHENTICATION"}
            raise Refuse(401, body)
        if self.access[token] <= now:
            raise Refuse(
                401, {"message": "The OAuth token used to make this call expired.", "category": "EXPIRED_AUTHENTICATION"}
            )

    def _count(self, now: float, token: str) -> dict[str, str]:
        day = datetime.fromtimestamp(now, self.zone).date().isoformat()
        if day != self._day:
            self._day, self._today = day, 0
        while self._passed and self._passed[0] <= now - self.window:
            self._passed.popleft()
        left = self.burst - len(self._passed)
        headers = {
            "X-HubSpot-RateLimit-Max": str(self.burst),
            "X-HubSpot-RateLimit-Remaining": str(max(left - 1, 0)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(self.window * 1000)),
        }
        if self.daily and token == FIXED_TOKEN:
            headers["X-HubSpot-RateLimit-Daily"] = str(self.daily)
            headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(self.daily - self._today - 1, 0))
        if self.daily and self._today >= self.daily:
            raise self._too_many("daily", "DAILY", headers)
        if left <= 0:
            raise self._too_many("ten_secondly_rolling", "TEN_SECONDLY_ROLLING", headers)
        self._passed.append(now)
        self._today += 1
        return headers

    def _count_search(self, now: float) -> dict[str, str]:
        """Search has a limit of its own, 5 calls a second, and sends no headers."""
        while self._searches and self._searches[0] <= now - 1.0:
            self._searches.popleft()
        if len(self._searches) >= 5:
            raise self._too_many("secondly", "SECONDLY", {})
        self._searches.append(now)
        return {}

    def _too_many(self, words: str, policy: str, headers: dict[str, str]) -> Refuse:
        self.throttled += 1
        body = {"message": f"You have reached your {words} limit.", "errorType": "RATE_LIMIT", "policyName": policy}
        return Refuse(429, body, headers)

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """The token endpoint's refresh_token grant (RFC 6749 §6) with HubSpot's further fields."""
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            raise Refuse(400, _oauth("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id"))
        if form.get("grant_type") != "refresh_token":
            raise Refuse(400, _oauth("unsupported_grant_type", "BAD_GRANT_TYPE", "this simulator refreshes only"))
        if self.revoked or form.get("refresh_token") != self.refresh_token:
            raise Refuse(400, _oauth("invalid_grant", "BAD_REFRESH_TOKEN", "missing or invalid refresh token"))
        self.refreshes += 1
        token = f"made-up-access-{secrets.token_hex(12)}"
        self.access[token] = self.clock() + self.token_life
        return {
            "access_token": token,
            "refresh_token": self.refresh_token,
            "expires_in": int(self.token_life),
            "token_type": "bearer",
            "token_use": "access_token",
            "hub_id": 5551234,
            "user_id": 77,
            "scopes": self.scopes(),
        }

    def introspect(self, form: dict[str, str]) -> dict[str, Any]:
        token = form.get("token", "")
        left = self.access.get(token, 0.0) - self.clock()
        return {
            "active": left > 0,
            "token": token,
            "token_type": "bearer",
            "token_use": "access_token",
            "client_id": CLIENT_ID,
            "hub_id": 5551234,
            "user_id": 77,
            "expires_in": max(int(left), 0),
            "scopes": self.scopes(),
        }

    def scopes(self) -> list[str]:
        return [scope for scope in SCOPES if scope not in self.missing_scopes]


def _oauth(error: str, status: str, message: str) -> dict[str, Any]:
    return {"error": error, "error_description": message, "status": status, "message": message}


def _missing_scope(scope: str) -> dict[str, Any]:
    return {
        "message": "This app hasn't been granted all required scopes to make this call.",
        "category": "MISSING_SCOPES",
        "errors": [{"message": "One or more scopes are required.", "context": {"requiredGranularScopes": [scope]}}],
    }
