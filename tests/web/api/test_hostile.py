"""schemathesis on the whole API: whatever the document allows or forbids, no answer is a fault, each fits the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from tests.web.api.conftest import Machine
from tests.web.conftest import Filled

EXAMPLES = 5
"""Requests of each kind per operation: enough to meet every field, few enough for every run of the tests."""
LEFT_OUT = {
    "positive_data_acceptance",  # a text can fit the document and still be no e-mail address: that is what 422 is for
    "ignored_auth",  # asked in test_protocol, for every role and operation
    "use_after_free",
    "ensure_resource_availability",  # links between operations are not declared
    "max_response_time",
    "allow_x_method",
}


def test_no_request_breaks_the_api(app: Flask, machine: Callable[..., Machine], filled: Filled, monkeypatch: Any) -> None:
    monkeypatch.setattr("hub.web.api.door.CALLS_ALLOWED", "1000000/minute")
    calls = machine()
    ids = {
        "run_id": filled.run_id,
        "evaluation_id": filled.evaluation_id,
        "contact_id": calls.get("/contacts?limit=1")["items"][0]["id"],
        "connection_id": calls.get("/connections")["items"][0]["id"],
        "webhook_id": calls.post("/webhooks", {"url": "https://example.com/hook", "kinds": ["*"]})["id"],
        "key": "welcome",
    }

    def serve(environ: Any, start: Any) -> Iterable[bytes]:
        with app.app_context():
            return list(app(environ, start))

    document = calls.get("/api/v1/openapi.json")
    del document["security"], document["components"]["securitySchemes"]  # every call gets the token: it is not to be spoiled
    schema = schemathesis.openapi.from_dict(document)
    schema.app = serve
    checks = [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in LEFT_OUT]
    asked: dict[str, set[int]] = {}
    faults: list[str] = []

    def ask(operation: Any, mode: Any) -> None:
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def run(case: Any, known: bool) -> None:
            if known and mode is schemathesis.GenerationMode.POSITIVE:
                case.path_parameters.update({name: value for name, value in ids.items() if name in case.path_parameters})
            answer = case.call(headers={"Authorization": f"Bearer {calls.token}"})
            asked.setdefault(operation.label, set()).add(answer.status_code)
            if answer.status_code >= 500:
                faults.append(f"{operation.label}: {answer.text}")
            if answer.status_code != 413:  # refused for its size, before anybody looked into it
                case.validate_response(answer, checks=checks)

        try:
            run()
        except Unsatisfiable:  # nothing of this operation can be spoiled
            assert mode is schemathesis.GenerationMode.NEGATIVE
        except FailureGroup as group:
            faults.extend(f"{operation.label}: {failure.message}"[:600] for failure in group.exceptions)

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.label.startswith("DELETE /api/v1/connections/"):
            continue
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            ask(operation, mode)
    assert not faults, "\n".join(faults)
    assert len(asked) > 55
    reached = [label for label, codes in asked.items() if any(code < 300 for code in codes)]
    assert len(reached) > 30
