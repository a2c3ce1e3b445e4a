"""docs/budget.md shows what the simulation's committed figures say."""

from __future__ import annotations

import json
from pathlib import Path

from cli.simulate import table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_is_the_figures() -> None:
    """The page, the table's file and the figures agree."""
    report = json.loads((DOCS / "budget" / "simulation.json").read_text())
    shown = table(report)
    assert shown in (DOCS / "budget.md").read_text()
    assert (DOCS / "budget" / "simulation.md").read_text() == shown + "\n"
    assert {found["seeds"] for found in report["scenarios"].values()} == {50}
