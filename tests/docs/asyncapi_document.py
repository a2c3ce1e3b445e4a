"""Writes docs/asyncapi.yaml from the code's topics and structs and from the examples in docs/messages.

Run ``python -m tests.docs.asyncapi_document`` after a change of either; ``test_asyncapi`` fails until then.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from ruamel.yaml import YAML

from clv import events, outcomes, topics
from clv.settings import Settings
from tests.docs import asyncapi_words as words

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
EXAMPLES = ROOT / "docs" / "messages"
Json = dict[str, Any]


class Message(NamedTuple):
    """A message: its topic, and the struct of its payload (None where it has none)."""

    topic: str
    struct: type[msgspec.Struct] | None


MESSAGES: dict[str, Message] = {
    "OrderPlaced": Message(topics.ORDERS, events._OrderPlaced),
    "OrderRefunded": Message(topics.ORDERS, events._OrderRefunded),
    "EmailEngaged": Message(topics.ORDERS, events._EmailEngaged),
    "CustomerErased": Message(topics.ORDERS, events._CustomerErased),
    "RescoreAsked": Message(topics.ORDERS, events._RescoreAsked),
    "Tick": Message(topics.ORDERS, events._Tick),
    "CustomerScored": Message(topics.SCORES, outcomes.Score),
    "CustomerForgotten": Message(topics.SCORES, None),
    "SegmentChanged": Message(topics.SEGMENT_CHANGES, outcomes.SegmentChange),
    "LabelMatured": Message(topics.TRAINING_EXAMPLES, outcomes.TrainingExample),
    "WatermarkPassed": Message(topics.TRAINING_EXAMPLES, outcomes.WatermarkPassed),
    "DeadLetter": Message(topics.DEAD_LETTERS, None),
    "BudgetProposed": Message(topics.BUDGET_SIGNALS, outcomes.BudgetSignal),
    "ModelAnnounced": Message(topics.MODELS, outcomes.ModelAnnounced),
}
INCOMING = tuple(name for name, message in MESSAGES.items() if message.topic == topics.ORDERS)
_CLOUD_EVENT_HEADERS = ("ce_specversion", "ce_source", "content-type", "ce_type", "ce_id", "ce_time")
_DEAD_LETTER_HEADERS = (
    "ce_specversion",
    "ce_source",
    "content-type",
    "ce_type",
    "ce_id",
    "clv-reason",
    "clv-detail",
    "clv-topic",
    "clv-partition",
    "clv-offset",
)


def example(name: str) -> Json:
    """Return a message's example: ``key``, ``headers`` and ``payload``."""
    read: Json = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return read


def document() -> Json:
    """Build the whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "clv-scorer",
            "version": "1.0.0",
            "description": "Order events in; customers' scores, segment changes, training examples, budget signals, "
            "model announcements and dead letters out. Records are JSON in UTF-8 and are delivered at least once: "
            "drop repeated event_ids. Unknown fields are to be ignored; a topic's schema only grows, a breaking "
            "change is a new topic version.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(spec): _channel(spec) for spec in topics.TOPICS},
        "operations": {_operation_id(spec): _operation(spec) for spec in topics.TOPICS},
        "components": {
            "messages": {name: _message(name) for name in MESSAGES},
            "schemas": schemas(),
        },
    }


def schemas() -> Json:
    """Return the JSON Schema of every payload, by the message's or nested struct's name, with every field's meaning."""
    structs = {name: message.struct for name, message in MESSAGES.items() if message.struct}
    _, components = msgspec.json.schema_components(structs.values(), ref_template="#/components/schemas/{name}")
    public = {struct.__name__: name for name, struct in structs.items()}
    result = {}
    for struct_name, schema in components.items():
        name = public.get(struct_name, struct_name)
        is_incoming = name in INCOMING or struct_name in {"Item", "Acquisition"}
        _describe(struct_name.removeprefix("_"), schema, is_incoming=is_incoming)
        schema["title"] = name
        schema["description"] = words.MESSAGES.get(name, _plain(schema.get("description", "")))
        result[name] = schema
    return dict(sorted(result.items()))


def _describe(struct: str, schema: Json, *, is_incoming: bool) -> None:
    for field, shape in schema["properties"].items():
        meaning = words.FIELDS.get(f"{struct}.{field}") or words.FIELDS[field]
        # A description beside $ref is lost on readers of older JSON Schema drafts.
        schema["properties"][field] = (
            {"allOf": [shape], "description": meaning} if "$ref" in shape else {**shape, "description": meaning}
        )
        if field == "schema_version":
            schema["properties"][field] = {"const": events.SCHEMA_VERSION, "description": meaning}
    if not is_incoming:
        schema["required"] = list(schema["properties"])  # what goes out always carries every field


def _plain(docstring: str) -> str:
    return docstring.partition("\n\n")[0].replace("``", "")


def _channel_id(spec: topics.TopicSpec) -> str:
    first, *rest = spec.name.split(".")[1].split("-")
    return first + "".join(part.title() for part in rest)


def _operation_id(spec: topics.TopicSpec) -> str:
    channel = _channel_id(spec)
    verb = "receive" if spec.name == topics.ORDERS else "send"
    return f"{verb}{channel[0].upper()}{channel[1:]}"


def _names(topic: str) -> list[str]:
    return [name for name, message in MESSAGES.items() if message.topic == topic]


def _channel(spec: topics.TopicSpec) -> Json:
    partitions = f"{Settings().partitions} by default (CLV_PARTITIONS)" if spec.is_keyed else "one"
    return {
        "address": spec.name,
        "description": f"{words.TOPICS[spec.name]} Partitions: {partitions}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(spec.name)},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "topicConfiguration": {
                    "cleanup.policy": [spec.policy],
                    "retention.ms": spec.retention_ms,
                    "max.message.bytes": spec.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(spec: topics.TopicSpec) -> Json:
    channel = _channel_id(spec)
    return {
        "action": "receive" if spec.name == topics.ORDERS else "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": words.TOPICS[spec.name],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in _names(spec.name)],
    }


def _message(name: str) -> Json:
    struct = MESSAGES[name].struct
    shown = example(name)
    key: Json = {"type": "string", "description": words.KEYS.get(name, "the customer's id, in UTF-8")}
    result: Json = {
        "name": name,
        "summary": words.MESSAGES[name],
        "contentType": "application/octet-stream" if name == "DeadLetter" else "application/json",
    }
    if shown["headers"]:
        result["headers"] = _headers(name)
    if struct:
        result["payload"] = {"$ref": f"#/components/schemas/{name}"}
    else:
        result["payload"] = {"type": "string"} if name == "DeadLetter" else {"type": "null"}
    result["bindings"] = {"kafka": {"key": key if name != "Tick" else {"type": "null"}, "bindingVersion": "0.5.0"}}
    result["examples"] = [{part: shown[part] for part in ("headers", "payload") if shown[part] or part == "payload"}]
    return result


def _headers(name: str) -> Json:
    names = _DEAD_LETTER_HEADERS if name == "DeadLetter" else _CLOUD_EVENT_HEADERS
    properties: Json = {header: {"type": "string", "description": words.HEADERS[header]} for header in names}
    if name == "DeadLetter":
        properties["clv-reason"]["enum"] = list(events.REJECTION_REASONS)
    return {"type": "object", "required": list(names), "properties": properties}


def as_yaml(content: Json) -> str:
    """Write a document as YAML, the same text for the same content."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


if __name__ == "__main__":
    DOCUMENT.write_text(as_yaml(document()), encoding="utf-8")
