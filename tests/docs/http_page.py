"""docs/reference/http.md, the OpenAPI document as a page: ``python -m tests.docs.http_page`` writes it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from api.main import create_app
from clv.settings import Settings
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"
_HEAD = """# HTTP API: every field

The OpenAPI document of `/api/openapi.json` as a page, written by `make reference`; a test fails when it differs from
the code. Keys, pages, errors and the stream are in [HTTP API](../api.md). Errors are `application/problem+json`
throughout and not repeated here.
"""


def document() -> dict[str, Any]:
    """Return the API's OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        return create_app(Settings(data_dir=Path(folder))).openapi()


def page() -> str:
    """Return the page."""
    described = document()
    parts = [_HEAD]
    for path, item in described["paths"].items():
        parts += [_operation(method.upper(), path, operation) for method, operation in item.items()]
    parts.append("## Shapes\n")
    parts += [_shape(name, schema) for name, schema in sorted(described["components"]["schemas"].items())]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"## {method} {path}", "", _text(operation.get("description") or operation.get("summary", ""))]
    rows = [
        _row(parameter["name"], parameter["in"], parameter["schema"], parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    if rows:
        lines += ["", "| Parameter | In | Type | Meaning |", "|---|---|---|---|", *rows]
    if "requestBody" in operation:
        lines += ["", f"Takes {_contents(operation['requestBody']['content'])}."]
    answers = [
        f"{status}: {_contents(answer['content'])}"
        for status, answer in operation["responses"].items()
        if status.startswith("2") and answer.get("content")
    ]
    lines += ["", f"Answers {'; '.join(answers)}." if answers else "Answers without a described body."]
    return "\n".join([*lines, ""])


def _shape(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}", ""]
    if schema.get("description"):
        lines += [_text(schema["description"]), ""]
    if "properties" not in schema:
        return "\n".join([*lines, f"{_type(schema)}.", ""])
    required = set(schema.get("required", ()))
    lines += ["| Field | Always | Type | Meaning |", "|---|---|---|---|"]
    lines += [
        _row(field, "yes" if field in required else "no", described, described.get("description", ""))
        for field, described in schema["properties"].items()
    ]
    return "\n".join([*lines, ""])


def _row(name: str, second: str, schema: dict[str, Any], meaning: str) -> str:
    return f"| `{name}` | {second} | {_type(schema)} | {_text(meaning) or '-'} |"


def _contents(content: dict[str, Any]) -> str:
    return " or ".join(f"{_type(described.get('schema', {}))} as `{kind}`" for kind, described in content.items())


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(option) for option in schema[choice])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
