"""Where bad rows go: a CSV file with line number, reason and the row's mapped cells; e-mail addresses stay out."""

from __future__ import annotations

import csv
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_SHOWN_CHARACTERS = 1_000
"""Of a cell: a file of long ones must not make a longer one."""
_HEADER = ("line", "reason", "detail", "row")


class Rejects:
    """Count bad rows by reason and, where a path is given, write each to a CSV file.

    The file appears with the first bad row, so that a clean log leaves none behind.

    Parameters
    ----------
    path
        The rejects file, replaced if it exists; None counts only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.by_reason: Counter[str] = Counter()
        self.first = ""
        self._file: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """Rows rejected so far."""
        return self.by_reason.total()

    def add(self, line: int, reason: str, detail: str, cells: Mapping[str, str] | None = None) -> None:
        """Reject one row.

        Parameters
        ----------
        line
            Line of the file on which the row starts, the header being line 1; in Parquet the row, counted from 1.
        reason
            Stable code, as on dead letters, or ``bad_shape`` for a row with the wrong number of cells.
        cells
            Field → cell as far as it was read.
        """
        self.by_reason[reason] += 1
        self.first = self.first or f"line {line}: {detail}"
        if self.path is None:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(_HEADER)
        shown = {field: cell[:_SHOWN_CHARACTERS] for field, cell in (cells or {}).items() if field != "email" and cell}
        self._writer.writerow((line, reason, detail, ";".join(f"{field}={cell}" for field, cell in shown.items())))

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None
