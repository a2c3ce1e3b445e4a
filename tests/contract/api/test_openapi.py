"""The OpenAPI document is true: generated requests, wrong ones too, get what it promises and never a failure inside."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from storage.api_keys import SCOPES, create_key

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from storage.engine import Database

CONTRACT = {
    "GET /api/health",
    "GET /api/customers",
    "GET /api/customers/{customer_id}",
    "POST /api/predict",
    "GET /api/segments",
    "GET /api/metrics",
    "GET /api/meta-ads/audiences",
    "GET /api/meta-ads/budget-allocation",
    "GET /api/dashboard/summary",
}


def refuses_what_is_wrong(context: Any, response: Any, case: Any) -> Any:
    """Let wrong input be refused, for its length before its content."""
    return None if response.status_code == 413 else negative_data_rejection(context, response, case)


ONLY: dict[GenerationMode, list[Any]] = {
    GenerationMode.POSITIVE: [],
    GenerationMode.NEGATIVE: [refuses_what_is_wrong],
}
EXAMPLES = 25
FEWEST = {GenerationMode.POSITIVE: 19, GenerationMode.NEGATIVE: 10}
"""Operations that must have been tried."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def schema(app: FastAPI, database: Database) -> Any:
    """The document, with the app behind it, and a key that opens all; the endless stream is tested elsewhere."""
    key = create_key(database, "tests", SCOPES)
    loaded = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    loaded.config.update(headers={"Authorization": f"Bearer {key}"})
    return loaded.exclude(path="/api/stream")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_every_operation_keeps_its_word(schema: Any, mode: GenerationMode) -> None:
    """No 5xx, and status, content type and body are as documented, for right input and for wrong."""
    tried: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_its_word(case: Any) -> None:
            case.call_and_validate(checks=CHECKS + ONLY[mode])

        with contextlib.suppress(SkipTest, Unsatisfiable):  # nothing wrong can be sent to what takes nothing
            keeps_its_word()
            tried.add(f"{operation.method.upper()} {operation.path}")
    assert len(tried) >= FEWEST[mode]


def test_the_contract_is_in_the_document(app: FastAPI) -> None:
    """The nine paths are there, and every operation has a summary, a tag, and problems as problem+json."""
    paths = app.openapi()["paths"]
    assert {f"{method.upper()} {path}" for path, item in paths.items() for method in item} >= CONTRACT
    for item in paths.values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["tags"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]


def test_examples_of_the_document_are_accepted(client: TestClient, database: Database) -> None:
    """The example of the prediction's input is one that gets an answer."""
    del database
    schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
    example = schemas["CustomerFigures"]["examples"][0]
    assert client.post("/api/predict", json=example).status_code == 200
