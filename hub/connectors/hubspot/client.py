"""The connector: each verb hands its work to the module that knows how."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from hub.connectors.hubspot import auth, automations, webhooks
from hub.connectors.hubspot.contacts import write_contacts
from hub.connectors.hubspot.judge import Clock, make_judge
from hub.connectors.hubspot.paths import path
from hub.connectors.hubspot.schema import AccountSchema, IntrospectionSchema, load
from hub.core.connector import Account, Checked, Cursor, Declaration, Event, Outgoing, Page, Result, Verb
from hub.core.errors import ContractBroken, Invalid, ReauthorizeNeeded, RecordRejected, Refused
from hub.core.http import Call
from hub.core.types import Json, Lane
from hub.transport import Http


class HubSpot:
    """One account. `clock` gives seconds since 1970; tests put in their own."""

    def __init__(self, declaration: Declaration, account: Account, http: Http, clock: Clock = time.time) -> None:
        self.declaration = declaration
        self.account = account
        self.clock = clock
        judge = make_judge(str(account.options.get("time_zone") or ""), clock)
        signature = auth.make_auth(account)
        self._http = http.bind(auth.base_url(account), signature, judge=judge)

    def check(self) -> Checked:
        """Who the account is. A token that HubSpot does not accept is `Invalid` at «token», a revoked app reauthorization."""
        try:
            answer = self._http.call(Call("GET", path("account"), lane=Lane.EVENT))
        except ReauthorizeNeeded as error:
            if auth.uses_token(self.account) and error.status in (401, 530):
                raise Invalid(
                    "HubSpot does not accept the token",
                    fields={"token": "Copy the whole service key or private app token from HubSpot's settings"},
                    cause=error.cause,
                ) from error
            raise
        facts = load(AccountSchema(), answer, self._http.connection)
        portal = str(facts["portal_id"])
        return Checked(
            account_id=portal,
            account_name=f"HubSpot {portal} ({facts['ui_domain'] or 'app.hubspot.com'})",
            facts={
                "account_type": facts["account_type"],
                "time_zone": facts["time_zone"],
                "currency": facts["currency"],
                "data_hosting": facts["hosting"],
                **self._scopes(),
            },
            options={"portal_id": portal, "time_zone": facts["time_zone"] or "UTC"},
        )

    def _scopes(self) -> dict[str, Json]:
        """The scopes that were granted and those that are missing, where HubSpot tells (apps only).

        A missing scope is a fact and no error: it takes away one capability, not the connection.
        """
        if auth.uses_token(self.account) or self._http.tokens is None:
            return {}
        form = {
            "client_id": self.account.credentials["client_id"],
            "client_secret": self.account.credentials["client_secret"],
            "token_type_hint": "access_token",
            "token": self._http.tokens.load().access,
        }
        try:
            answer = self._http.call(Call("POST", path("introspect"), form=form, lane=Lane.EVENT))
            granted = load(IntrospectionSchema(), answer, self._http.connection)["scopes"] or []
        except (RecordRejected, ContractBroken):
            return {}
        return {"scopes": sorted(granted), "missing_scopes": [name for name in auth.NEEDED_SCOPES if name not in granted]}

    def read(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        """Refused: the hub is where contacts are kept, HubSpot is written to."""
        self.declaration.stream(stream)
        self.declaration.need(Verb.READ)
        return iter(())

    def write(self, stream: str, records: Sequence[Outgoing]) -> list[Result]:
        """Contacts, or members of lists; see the two functions it calls."""
        info = self.declaration.stream(stream)
        if len(records) > info.write_batch:
            raise Refused("At most {most} records of {stream} a call", most=info.write_batch, stream=stream)
        if not records:
            return []
        if stream == "contacts":
            return write_contacts(self._http, records, str(self.account.options.get("id_property") or "email"))
        return automations.write_members(self._http, records)

    def trigger(self, automation: str, records: Sequence[Outgoing]) -> list[Result]:
        """«list:NUMBER» adds members to a MANUAL list, «workflow:NUMBER» enrols by e-mail."""
        return automations.start(self._http, automation, records)

    def receive(self, headers: Mapping[str, str], raw_body: bytes) -> list[Event]:
        """Verify and read one webhook delivery."""
        return webhooks.receive(self.account, headers, raw_body, self.clock())
