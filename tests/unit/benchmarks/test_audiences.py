"""The benchmark of synchronisations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_second_synchronisation_has_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the third only what changed; a dated report is left where it was asked for."""
    assert run(["bench", "audiences", "--customers", "2000", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)["synchronisations"]
    first, second, third = found["first"], found["nothing_changed"], found["some_changed"]
    assert first["added"] == first["present"] > 2_000
    assert (second["added"], second["updated"], second["removed"]) == (0, 0, 0)
    assert 0 < third["added"] < 200
    assert len(list(tmp_path.glob("*-audiences.json"))) == 1
