"""WooCommerce: customers, orders and products of a WordPress shop, read with a REST API key.

Every fact about the platform that this folder relies on is in `README.md` with its evidence; the answers themselves are
in `recordings/`.
"""

from __future__ import annotations

from hub.connectors.woocommerce.client import WooCommerce
from hub.core.connector import Account, Connector, Credential, Declaration, Limits, StreamInfo, Verb
from hub.core.types import Target
from hub.transport import Http

DECLARATION = Declaration(
    name="woocommerce",
    title="WooCommerce",
    auth=(
        Credential("url", "Address of the shop, as its customers see it", example="https://shop.example"),
        Credential("key", "Consumer key of a REST API key with read permission", secret=True, example="ck_…"),
        Credential("secret", "Consumer secret of the same REST API key", secret=True, example="cs_…"),
    ),
    streams=(
        StreamInfo("customers", Target.CONTACT, reads=True),
        StreamInfo("orders", Target.ORDER, reads=True),
        StreamInfo("products", Target.PRODUCT, reads=True),
    ),
    limits=Limits(in_flight=8),
    can=frozenset({Verb.CHECK, Verb.READ, Verb.RECEIVE}),
)


def build(account: Account, http: Http) -> Connector:
    """The connector for one shop; makes no call yet."""
    return WooCommerce(DECLARATION, account, http)
