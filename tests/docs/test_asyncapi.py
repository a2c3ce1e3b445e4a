"""docs/asyncapi.yaml and docs/topics.md say what the topics carry, with examples that the code itself reads."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from ruamel.yaml import YAML

from clv import topics
from clv.errors import EventError
from clv.events import REJECTION_REASONS, decode_event
from clv.features import FEATURE_DIGEST, FEATURE_NAMES
from clv.outcomes import BudgetSignal, DeadLetter, Erased, ModelAnnounced, Outcome
from streams.codecs import Produced, to_record
from tests.docs import asyncapi_document as generator
from tests.docs.asyncapi_document import DOCUMENT, EXAMPLES, INCOMING, MESSAGES, ROOT

WRITTEN: dict[str, Any] = YAML(typ="safe").load(DOCUMENT.read_text(encoding="utf-8"))
WITH_PAYLOAD = [name for name, message in MESSAGES.items() if message.struct]
OUTGOING = [name for name in MESSAGES if name not in INCOMING]


def outcome(name: str) -> Outcome | BudgetSignal | ModelAnnounced:
    """Return a message's example as the event that the code sends."""
    shown = generator.example(name)
    if name == "DeadLetter":
        headers = shown["headers"]
        return DeadLetter(
            key=shown["key"].encode(),
            value=shown["payload"].encode(),
            reason=headers["clv-reason"],
            detail=headers["clv-detail"],
            topic=headers["clv-topic"],
            partition=int(headers["clv-partition"]),
            offset=int(headers["clv-offset"]),
        )
    if name == "CustomerForgotten":
        return Erased(shown["key"], 0)
    struct: Any = MESSAGES[name].struct
    event: Outcome = msgspec.convert(shown["payload"], struct, strict=True)
    return event


def test_the_document_is_what_the_code_says() -> None:
    """The file is the one that ``python -m tests.docs.asyncapi_document`` writes."""
    assert DOCUMENT.read_text(encoding="utf-8") == generator.as_yaml(generator.document())


def test_every_topic_is_a_channel() -> None:
    """Each topic of the code is described, with its policy, retention and size, and no other."""
    described = {
        channel["address"]: channel["bindings"]["kafka"]["topicConfiguration"]
        for channel in WRITTEN["channels"].values()
    }
    expected = {
        spec.name: {
            "cleanup.policy": [spec.policy],
            "retention.ms": spec.retention_ms,
            "max.message.bytes": spec.max_message_bytes,
        }
        for spec in topics.TOPICS
    }

    assert described == expected


def test_every_message_has_one_example_file() -> None:
    """docs/messages holds an example of each message, and nothing else."""
    assert {path.stem for path in EXAMPLES.iterdir()} == set(MESSAGES)


def test_every_field_of_every_message_is_explained() -> None:
    """Each property of each schema has a description, and each struct's fields are its properties."""
    schemas = WRITTEN["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, shape in schema["properties"].items()
        if not shape.get("description")
    ]

    assert silent == []
    for name in WITH_PAYLOAD:
        struct: Any = MESSAGES[name].struct
        assert set(schemas[name]["properties"]) == {"type", *struct.__struct_fields__}


@pytest.mark.parametrize("name", WITH_PAYLOAD)
def test_an_example_is_valid(name: str) -> None:
    """An example's payload fits the schema that the document gives for it."""
    message = WRITTEN["components"]["messages"][name]
    validator = Draft202012Validator({**message["payload"], "components": WRITTEN["components"]})

    assert [problem.message for problem in validator.iter_errors(message["examples"][0]["payload"])] == []


@pytest.mark.parametrize("name", WITH_PAYLOAD)
def test_a_broken_example_is_not_valid(name: str) -> None:
    """The schemas do refuse: without its event_id no example passes."""
    message = WRITTEN["components"]["messages"][name]
    payload = {field: value for field, value in message["examples"][0]["payload"].items() if field != "event_id"}
    validator = Draft202012Validator({**message["payload"], "components": WRITTEN["components"]})

    assert [problem.message for problem in validator.iter_errors(payload)] == ["'event_id' is a required property"]


@pytest.mark.parametrize("name", INCOMING)
def test_an_incoming_example_is_decoded(name: str) -> None:
    """The one door for events accepts each incoming example under its key."""
    shown = generator.example(name)
    key = shown["key"].encode() if shown["key"] else None

    event = decode_event(msgspec.json.encode(shown["payload"]), key, currency="USD", digits=2)

    assert type(event).__name__ == name
    assert event.event_id == shown["payload"]["event_id"]


@pytest.mark.parametrize("name", OUTGOING)
def test_an_outgoing_example_is_what_is_sent(name: str) -> None:
    """The code sends each outgoing example to its topic, with its key, headers and payload."""
    shown = generator.example(name)

    sent = to_record(outcome(name))

    assert MESSAGES[name].topic == sent.topic
    assert shown["key"].encode() == sent.key
    assert shown["headers"] == {header: text.decode() for header, text in sent.headers}
    assert shown["payload"] == _read(sent)


def test_the_training_example_has_this_builds_features() -> None:
    """Its digest is that of the code's feature names, and it has a value for each."""
    payload = generator.example("LabelMatured")["payload"]

    assert payload["feature_digest"] == FEATURE_DIGEST
    assert len(payload["features"]) == len(FEATURE_NAMES)


def test_the_dead_letter_is_one() -> None:
    """The dead letter's example is refused for the reason that its header gives."""
    shown = generator.example("DeadLetter")

    with pytest.raises(EventError) as refused:
        decode_event(shown["payload"].encode(), shown["key"].encode(), currency="USD", digits=2)

    assert shown["headers"]["clv-reason"] == refused.value.reason
    assert shown["headers"]["clv-detail"] == str(refused.value)


def test_the_topics_page_names_every_topic_message_and_reason() -> None:
    """docs/topics.md has a row for each topic, and mentions each message and each reason of a dead letter."""
    page = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    spoken = [f"| `{spec.name}` |" for spec in topics.TOPICS]
    spoken += [f"`{word}`" for word in (*MESSAGES, *REJECTION_REASONS)]

    assert [word for word in spoken if word not in page] == []


def _read(sent: Produced) -> Any:
    if sent.value is None or sent.topic == topics.DEAD_LETTERS:
        return sent.value and sent.value.decode()
    return json.loads(sent.value)
