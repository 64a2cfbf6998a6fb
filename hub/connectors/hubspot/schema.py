"""The parts of HubSpot's answers that the hub reads; whatever else stands there is left alone."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from hub.core.errors import ContractBroken
from hub.core.http import Answer
from hub.transport.verdicts import read_json

WRITE_FIELDS: dict[str, frozenset[str] | None] = {
    "contacts": None,
    "list_members": frozenset({"list_id", "member", "remote_id"}),
}
"""What may be written, by stream. None: any property of the account whose name fits `PROPERTY_NAME`."""

LAST_MILLISECOND = 253_402_300_799_999
"""The end of the year 9999: later times have no date."""

PROPERTY_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class _Reads(Schema):
    class Meta:
        unknown = EXCLUDE


class ErrorDetailSchema(_Reads):
    message = fields.String(load_default="", allow_none=True)
    code = fields.String(load_default="", allow_none=True)
    context = fields.Dict(load_default=dict, allow_none=True)


class RecordErrorSchema(_Reads):
    """One error of a partial answer. `context.objectWriteTraceId` names the inputs."""

    status = fields.String(load_default="", allow_none=True)
    category = fields.String(load_default="", allow_none=True)
    message = fields.String(load_default="", allow_none=True)
    context = fields.Dict(load_default=dict, allow_none=True)
    errors = fields.List(fields.Nested(ErrorDetailSchema), load_default=list, allow_none=True)


class UpsertedSchema(_Reads):
    id = fields.String(required=True)
    new = fields.Boolean(load_default=False, allow_none=True)
    properties = fields.Dict(load_default=dict, allow_none=True)
    trace = fields.String(data_key="objectWriteTraceId", load_default="", allow_none=True)


class UpsertSchema(_Reads):
    """Answer of batch/upsert; any 2xx with `numErrors` above 0 is partial, whatever its status."""

    results = fields.List(fields.Nested(UpsertedSchema), required=True)
    num_errors = fields.Integer(data_key="numErrors", load_default=0, allow_none=True)
    errors = fields.List(fields.Nested(RecordErrorSchema), load_default=list, allow_none=True)


class ContactSchema(_Reads):
    id = fields.String(required=True)


class MembershipsSchema(_Reads):
    """Empty lists may be left out. `recordsIdsAdded` is HubSpot's own spelling."""

    added = fields.List(fields.String(), data_key="recordsIdsAdded", load_default=list, allow_none=True)
    removed = fields.List(fields.String(), data_key="recordIdsRemoved", load_default=list, allow_none=True)
    missing = fields.List(fields.String(), data_key="recordIdsMissing", load_default=list, allow_none=True)


class AccountSchema(_Reads):
    portal_id = fields.Integer(data_key="portalId", required=True)
    account_type = fields.String(data_key="accountType", load_default="", allow_none=True)
    time_zone = fields.String(data_key="timeZone", load_default="", allow_none=True)
    currency = fields.String(data_key="companyCurrency", load_default="", allow_none=True)
    ui_domain = fields.String(data_key="uiDomain", load_default="", allow_none=True)
    hosting = fields.String(data_key="dataHostingLocation", load_default="", allow_none=True)


class IntrospectionSchema(_Reads):
    active = fields.Boolean(load_default=True)
    scopes = fields.List(fields.String(), load_default=list, allow_none=True)


class EnrolmentSchema(_Reads):
    """One workflow that a contact is in now; numeric id of the old kind."""

    id = fields.Integer(required=True)


class EventSchema(_Reads):
    """One item of a webhook delivery; `occurredAt` in milliseconds since 1970."""

    subscription_type = fields.String(data_key="subscriptionType", required=True)
    event_id = fields.Integer(data_key="eventId", load_default=None, allow_none=True)
    subscription_id = fields.Integer(data_key="subscriptionId", load_default=None, allow_none=True)
    portal_id = fields.Integer(data_key="portalId", load_default=None, allow_none=True)
    object_id = fields.Integer(data_key="objectId", load_default=None, allow_none=True)
    new_object_id = fields.Integer(data_key="newObjectId", load_default=None, allow_none=True)
    primary_object_id = fields.Integer(data_key="primaryObjectId", load_default=None, allow_none=True)
    object_type_id = fields.String(data_key="objectTypeId", load_default="", allow_none=True)
    occurred_at = fields.Integer(
        data_key="occurredAt", load_default=None, allow_none=True, validate=validate.Range(0, LAST_MILLISECOND)
    )


def load(schema: Schema, answer: Answer, connection: str) -> Any:
    """The answer's body as `schema` says, or `ContractBroken` with a sample of what stands there instead."""
    body = read_json(answer, connection=connection)
    try:
        return schema.load(body)
    except ValidationError as error:
        raise ContractBroken(
            "HubSpot's answer does not have the shape that its reference describes",
            cause=str(error.messages)[:500],
            connection=connection,
            status=answer.status,
            sample=answer.body[:2000].decode("utf-8", "replace"),
        ) from error
