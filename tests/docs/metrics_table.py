"""The tables of docs/observability.md, made from the registries: ``python -m tests.docs.metrics_table`` writes them."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.metrics_catalogue import ROLES, Described, catalogue

PAGE = ROOT / "docs" / "observability.md"
_TABLE = re.compile(r"(?P<begin><!-- metrics: (?P<role>\w+) -->\n)(?P<rows>.*?)(?P<end><!-- end -->)", re.DOTALL)


def tables(text: str) -> dict[str, str]:
    """Return the page's tables by role."""
    return {found["role"]: found["rows"] for found in _TABLE.finditer(text)}


def table(metrics: list[Described]) -> str:
    """Return a role's table."""
    rows = ["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(rows) + "\n"


def with_tables(text: str) -> str:
    """Return a page with its tables made anew."""
    made = {role: table(metrics) for role, metrics in catalogue().items()}
    return _TABLE.sub(lambda found: found["begin"] + made[found["role"]] + found["end"], text)


if __name__ == "__main__":
    assert set(tables(PAGE.read_text(encoding="utf-8"))) == set(ROLES)
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
