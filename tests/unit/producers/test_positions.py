"""Positions in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.positions import FilePositions, Position

if TYPE_CHECKING:
    from pathlib import Path


def test_a_position_is_kept_by_key_until_it_is_forgotten(tmp_path: Path) -> None:
    """Another process finds what this one put."""
    folder = tmp_path / "positions"
    FilePositions(folder, "t1").put("a", Position(1, 86_400_000))
    assert FilePositions(folder, "t1").get("a") == Position(1, 86_400_000)
    assert FilePositions(folder, "t1").get("b") is None
    assert FilePositions(folder, "t2").get("a") is None, "a topic made anew has received nothing"
    FilePositions(folder, "t1").put("a", None)
    assert FilePositions(folder, "t1").get("a") is None


def test_a_broken_file_is_no_position(tmp_path: Path) -> None:
    """A replay then starts at the beginning, which changes nothing downstream."""
    positions = FilePositions(tmp_path, "t1")
    positions.put("a", Position(0, 1))
    next(tmp_path.glob("*.json")).write_text("{")
    assert positions.get("a") is None
