"""Budgets without an account: a file that says what each segment may spend a day, for people to carry over."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ads.applying import SegmentBudget
from ads.connector import NotDone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class FileBudgets:
    """``budget.json`` in the audiences' directory: segment to minor units a day.

    Parameters
    ----------
    segments
        Those that have a budget; nothing where the file does not say.
    """

    platform = "file"

    def __init__(self, folder: Path, segments: Sequence[str]) -> None:
        self._path = folder / "budget.json"
        self._segments = segments

    def present(self) -> Mapping[str, SegmentBudget]:
        """Return what the file says."""
        amounts = self._read()
        return {segment: SegmentBudget(amounts.get(segment, 0)) for segment in self._segments}

    def change(self, segment: str, daily_minor: int) -> None:
        """Write the file with another amount."""
        amounts = self._read() | {segment: daily_minor}
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with draft.open("w", encoding="utf-8") as file:
                json.dump(amounts, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as problem:
            raise NotDone(f"{self._path} cannot be written: {problem.strerror}", "set CLV_ADS_DIR") from problem

    def _read(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise NotDone(f"{self._path} cannot be read: {problem}", "move it away: it is written anew") from problem
        return found
