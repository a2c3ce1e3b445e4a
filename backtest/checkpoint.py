"""Where an interrupted back-test goes on: plain data in one file, replaced as a whole; no pickles.

It counts only for the same log, read the same way, the same options, the same build and the same libraries.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from backtest.engine import EngineState
from backtest.runlog import RunLogState
from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.settings import Settings

log = structlog.get_logger(__name__)
_PACKAGES = ("clv", "models", "producers", "backtest")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "river", "onnxruntime", "skl2onnx", "msgspec", "pandas")


class Counts(msgspec.Struct):
    """How far a run has come: the first and the last day that it has passed, -1 before that, and what it met."""

    first_day: int = -1
    day: int = -1
    events: int = 0
    moments: int = 0
    unscored: int = 0


class Checkpoint(msgspec.Struct):
    """A run at the end of a day; ``key`` says of which run.

    The files are cut to ``predictions_bytes`` and ``run_log_bytes``: what was written after them is written again.
    """

    key: str
    predictions_bytes: int
    run_log_bytes: int
    engine: EngineState
    run_log: RunLogState
    counts: Counts


def run_key(log_key: str, settings: Settings, custom: Sequence[str] = ()) -> str:
    """Return what a checkpoint must have been made by: log, options, build, libraries and custom models."""
    options = (
        *(settings.currency, settings.horizon_days, settings.refit_days, settings.allowed_lateness_ms),
        *(settings.duplicate_window_days, settings.far_ahead_days),
    )
    digest = hashlib.sha256(repr((log_key, options, *custom)).encode())
    root = Path(__file__).parents[1]
    for package in _PACKAGES:
        for source in sorted((root / package).glob("*.py")):
            digest.update(source.name.encode() + source.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    return digest.hexdigest()


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint, durably; a crash meanwhile leaves the one before.

    Raises
    ------
    InputError
        When the disk refuses.
    """
    part = path.with_name(f"{path.name}.new")
    try:
        with part.open("wb") as file:
            file.write(msgspec.msgpack.encode(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written: {problem.strerror or problem}", "is there room for it?"
        ) from problem


def load(path: Path, key: str) -> Checkpoint | None:
    """Return the checkpoint of this very run; None where there is none."""
    try:
        found = msgspec.msgpack.decode(path.read_bytes(), type=Checkpoint)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError:
        log.warning("checkpoint cannot be read, starting anew", path=str(path))
        return None
    if found.key != key:
        log.warning("checkpoint is of another log, other options or another build, starting anew", path=str(path))
        return None
    return found


def forget(path: Path) -> None:
    """Remove the checkpoint, if there is one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
