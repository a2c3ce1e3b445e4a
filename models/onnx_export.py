"""From a fitted estimator to ONNX that answers as it does: what is published holds no code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from clv.errors import IncompatibleArtifact
from models.ensemble import MAX_FACTOR, ask, session_of
from models.relative import INPUT_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_RELATIVE_DIFFERENCE = 1e-4
MAX_BYTES = 16_000_000
MAX_ROW_SECONDS = 500e-6
_PROBE_ROWS = 97


def checked_export(model: Any, rows: NDArray[np.float32]) -> bytes:
    """Return a fitted regressor as ONNX with the input ``inputs``, (n, len(INPUT_NAMES)) float32.

    By the estimator's own ``to_onnx()``, where it has one, else by skl2onnx.

    Parameters
    ----------
    rows
        On which both must agree.

    Raises
    ------
    IncompatibleArtifact
        When they differ by more than ``MAX_RELATIVE_DIFFERENCE``; retrying does not help. What the converter raises of
        its own comes through.
    """
    if callable(getattr(model, "to_onnx", None)):
        exported = bytes(model.to_onnx())
    else:
        kind = [("inputs", FloatTensorType([None, len(INPUT_NAMES)]))]
        exported = convert_sklearn(model, name="ensemble", initial_types=kind).SerializeToString()
    expected = np.asarray(model.predict(rows.copy()), dtype=np.float64).ravel()
    given = ask(session_of(exported), rows)
    # ONNX adds trees up in float32. An answer below the least factor is raised to it, so differences count from there.
    difference = float(np.max(np.abs(expected - given) / np.maximum(np.abs(expected), 1.0 / MAX_FACTOR)))
    if not difference <= MAX_RELATIVE_DIFFERENCE:
        raise IncompatibleArtifact(f"the ONNX export differs from the estimator by {difference:.2e}, relatively")
    return exported


def check_workers_can(exported: bytes, rows: NDArray[np.float32]) -> None:
    """Refuse what a worker could not score with, whoever made it.

    Raises
    ------
    IncompatibleArtifact
        When it is larger than ``MAX_BYTES``, slower than ``MAX_ROW_SECONDS`` a row, or its answer for a row depends on
        the batch, be it in the last bit.
    """
    if len(exported) > MAX_BYTES:
        raise IncompatibleArtifact(f"the ONNX export has {len(exported):,} bytes, at most {MAX_BYTES:,} are published")
    session, probed = session_of(exported), rows[:_PROBE_ROWS]
    started = time.perf_counter()
    together = ask(session, probed)
    seconds = (time.perf_counter() - started) / len(probed)
    if seconds > MAX_ROW_SECONDS:
        raise IncompatibleArtifact(f"the ONNX export takes {seconds * 1e6:,.0f} µs a row, too long for a worker")
    for size in (1, 2, 7, 32):
        parts = [ask(session, probed[start : start + size]) for start in range(0, len(probed), size)]
        if np.concatenate(parts).tobytes() != together.tobytes():
            raise IncompatibleArtifact("the ONNX export's answer for a row depends on the rows beside it")
