"""A file that grows while a run goes on, can be cut back to where a checkpoint saw it, and appears when it is whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from clv.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


class GrowingFile:
    """Bytes appended to ``<path>.part``, which takes the path's place when finished.

    Parameters
    ----------
    path
        The file to be.
    length
        Bytes to keep of what an earlier run has written; 0 begins anew.

    Raises
    ------
    InputError
        When the file cannot be written.
    """

    def __init__(self, path: Path, *, length: int = 0) -> None:
        self.path = path
        self.part = part_of(path)
        try:
            self._file: BinaryIO = self.part.open("r+b" if length else "wb")
            self._file.truncate(length)
            self._file.seek(length)
        except OSError as problem:
            raise _unwritable(path, problem) from problem
        self.length = length

    def append(self, content: bytes) -> None:
        """Write more.

        Raises
        ------
        InputError
            When the disk refuses.
        """
        try:
            self._file.write(content)
        except OSError as problem:
            raise _unwritable(self.path, problem) from problem
        self.length += len(content)

    def sync(self) -> int:
        """Make what was written durable; return its length.

        Raises
        ------
        InputError
            When the disk refuses.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise _unwritable(self.path, problem) from problem
        return self.length

    def close(self) -> None:
        """Let go of the file; the part stays."""
        self._file.close()

    def finish(self) -> None:
        """Put the part in the file's place."""
        self.close()
        self.part.replace(self.path)


def part_of(path: Path) -> Path:
    """Return where a file lies until it is whole."""
    return path.with_name(f"{path.name}.part")


def has_length(path: Path, length: int) -> bool:
    """Tell whether an earlier run has left at least so many bytes of a file."""
    part = part_of(path)
    return part.exists() and part.stat().st_size >= length


def _unwritable(path: Path, problem: OSError) -> InputError:
    return InputError(
        f"{path} cannot be written: {problem.strerror or problem}", "is its folder there, and room in it?"
    )
