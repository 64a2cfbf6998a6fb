"""What an order counts as."""

from __future__ import annotations

UNPAID_STATUSES = frozenset(
    {"pending", "on-hold", "cancelled", "failed", "refunded", "trash", "checkout-draft", "draft", "auto-draft"}
)
"""WooCommerce's statuses in which an order is no sale, whatever its payment date says; unknown ones of plug-ins count."""


def is_paid(status: str, paid_at: str | None, total: int, refunded: int) -> bool:
    """Whether the order is a sale: paid, not cancelled, not wholly refunded. Amounts in minor units."""
    if not paid_at or status.lower().removeprefix("wc-") in UNPAID_STATUSES:
        return False
    return total == 0 or refunded < total
