"""Raw records of a shop, as its API gives them."""

from __future__ import annotations

from typing import Any


def customer(number: int | str, email: str = "", **rest: Any) -> dict[str, Any]:
    """A customer as the shop's API gives one."""
    billing = {name: rest.pop(name, "") for name in ("phone", "company", "city", "postcode", "country")}
    return {
        "id": number,
        "date_created_gmt": "2026-11-01T10:00:00",
        "date_modified_gmt": "2026-11-01T10:00:00",
        "email": email,
        "first_name": "",
        "last_name": "",
        "role": "customer",
        "billing": billing,
        "shipping": {"phone": ""},
        "meta_data": [],
        **rest,
    }


def order(number: int | str, buyer: int = 0, email: str = "", *, tick: str | None = None, **rest: Any) -> dict[str, Any]:
    """A paid order; `tick` is the newsletter box's value, None: the box was not there."""
    billing = {"email": email, **{name: rest.pop(name, "") for name in ("first_name", "last_name", "phone", "city")}}
    meta = [] if tick is None else [{"id": 1, "key": "_wc_other/hub/newsletter-optin", "value": tick}]
    return {
        "id": number,
        "number": str(number),
        "status": "completed",
        "currency": "PLN",
        "date_created_gmt": "2026-11-20T10:00:00",
        "date_modified_gmt": "2026-11-20T10:00:00",
        "date_paid_gmt": "2026-11-20T10:01:00",
        "total": "100.00",
        "customer_id": buyer,
        "billing": billing,
        "meta_data": meta,
        "refunds": [],
        "line_items": [{"id": 1}],
        **rest,
    }
