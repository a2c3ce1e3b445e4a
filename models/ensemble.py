"""The batch ensemble as it is stored and scored: two ONNX tree models and their weights in one self-describing blob.

Nothing here can execute code from an artifact, and scikit-learn is not needed to score; training is in ``batch``.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnxruntime
import structlog

from clv.errors import FeatureMismatch, IncompatibleArtifact
from models import relative
from models.btyd import bounded
from models.clamping import clamped
from models.relative import INPUT_DIGEST

if TYPE_CHECKING:
    from clv.ports import Floats

log = structlog.get_logger(__name__)
FORMAT = "clv.ensemble.v1"
MAX_FACTOR = 3.0
"""The ensemble corrects its base by this at most, either way."""
_GRID = 1024.0


class EnsembleArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the blob holds: ``members`` by name as ONNX bytes, ``weights`` by the same names adding up to 1.

    ``held_out_deviance`` per member and ``example_count`` are the evidence for the weights. ``custom`` holds other
    people's models by name, fitted to the same examples: each answers for itself, outside the ensemble. Without any
    it is left out, so that the bytes, and the digest that names them, are those of before there were any.
    """

    format: str
    input_digest: str
    weights: dict[str, float]
    held_out_deviance: dict[str, float]
    example_count: int
    btyd_version: str
    members: dict[str, bytes]
    custom: dict[str, bytes] = {}


def tree_inputs(features: Floats, unit: Floats) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the trees' inputs, (n, len(INPUT_NAMES)) float32, for training and scoring alike.

    Logs are rounded to 1/1024: split points then lie at exact float32 values, and a row at a threshold takes the same
    branch in scikit-learn (float64 thresholds) and in ONNX (float32).
    """
    return np.ascontiguousarray((np.round(relative.inputs(features, unit) * _GRID) / _GRID).T, dtype=np.float32)


def digest_of(blob: bytes) -> str:
    """Return the SHA-256 of an artifact, hexadecimal: the name it is stored and announced under."""
    return hashlib.sha256(blob).hexdigest()


def session_of(onnx_bytes: bytes) -> Any:
    """Open an ONNX model for scoring on the calling thread alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


def ask(session: Any, rows: np.ndarray[Any, np.dtype[np.float32]]) -> Floats:
    """Return what an ONNX model says of n rows, (n,).

    A lone row is asked twice: a matrix product of one row takes another path, with other last bits.
    """
    asked = np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows
    given = np.asarray(session.run(None, {"inputs": asked})[0], dtype=np.float64)
    said: Floats = given.reshape(len(asked))[: len(rows)]
    return said


class Ensemble:
    """A loaded ensemble; immutable and safe to share between batches.

    Parameters
    ----------
    blob
        An artifact of ``batch.train``.
    digest
        What ``digest_of(blob)`` must be; empty trusts the blob (just trained).

    Raises
    ------
    IncompatibleArtifact
        When the bytes do not match the digest, or are not an ensemble of this format.
    FeatureMismatch
        When it was trained on other inputs.
    """

    def __init__(self, blob: bytes, digest: str = "") -> None:
        self.digest = digest_of(blob)
        if digest and digest != self.digest:
            raise IncompatibleArtifact(f"the ensemble's bytes have digest {self.digest}, not {digest}")
        self.artifact = _decode(blob)
        try:
            members = {name: session_of(model) for name, model in self.artifact.members.items()}
        except Exception as problem:  # onnxruntime raises bare RuntimeError subclasses of its own making
            raise IncompatibleArtifact("a member of the ensemble is not a readable ONNX model") from problem
        self._members = [(members[name], weight) for name, weight in sorted(self.artifact.weights.items())]
        self._custom = _custom_sessions(self.artifact.custom)

    @property
    def custom_names(self) -> tuple[str, ...]:
        """Names of the custom models in it that can be asked."""
        return tuple(self._custom)

    def predict(self, features: Floats, base_minor: Floats, support_minor: float = math.inf) -> Floats:
        """Predict value over the horizon, (n,), from features (n, len(FEATURE_NAMES)) and base (n,).

        What it adds to the base fades beyond ``support_minor``, see ``relative.fade``.

        Notes
        -----
        About 3 µs a row in batches; a row's bits do not depend on the batch's size.
        """
        unit = relative.unit_minor(features, base_minor)
        rows = tree_inputs(features, unit)
        factor = np.zeros(len(unit))
        for session, weight in self._members:
            factor += weight * session.run(None, {"inputs": rows})[0].ravel().astype(np.float64)
        return _corrected(unit, factor, support_minor)

    def predict_custom(
        self, features: Floats, base_minor: Floats, support_minor: float = math.inf
    ) -> dict[str, Floats]:
        """Predict as ``predict`` does, with each custom model alone; where one fails, it says what the base says."""
        unit = relative.unit_minor(features, base_minor)
        rows = tree_inputs(features, unit)
        return {name: _corrected(unit, _asked(name, held, rows), support_minor) for name, held in self._custom.items()}


def _corrected(unit: Floats, factor: Floats, support_minor: float) -> Floats:
    correction = np.log(clamped(factor, 1.0 / MAX_FACTOR, MAX_FACTOR)) * relative.fade(unit, support_minor)
    return bounded(unit * np.exp(correction))


def _custom_sessions(models: dict[str, bytes]) -> dict[str, Any]:
    found = {}
    for name, onnx_bytes in sorted(models.items()):
        try:
            found[name] = session_of(onnx_bytes)
        except Exception as problem:  # noqa: BLE001  # onnxruntime raises bare RuntimeError subclasses of its own making
            log.warning("custom model cannot be loaded", model=name, problem=str(problem)[:300])
    return found


def _asked(name: str, session: Any, rows: np.ndarray[Any, np.dtype[np.float32]]) -> Floats:
    """Return ratios, (n,); 1 where a stranger's model has no finite answer: scoring must not fail on its account."""
    said = np.ones(len(rows))
    if not len(rows):
        return said
    try:
        given = ask(session, rows)
    except Exception as problem:  # noqa: BLE001  # as above
        log.warning("custom model does not answer", model=name, problem=str(problem)[:300])
        return said
    return np.where(np.isfinite(given), given, said)


def _decode(blob: bytes) -> EnsembleArtifact:
    try:
        artifact = msgspec.msgpack.decode(blob, type=EnsembleArtifact)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise IncompatibleArtifact("the ensemble's bytes are not of the artifact's format") from problem
    if artifact.format != FORMAT:
        raise IncompatibleArtifact(f"the ensemble has format {artifact.format!r}, this build reads {FORMAT!r}")
    if artifact.input_digest != INPUT_DIGEST:
        raise FeatureMismatch(f"the ensemble was trained on inputs {artifact.input_digest}, not {INPUT_DIGEST}")
    if not artifact.weights or set(artifact.weights) != set(artifact.members):
        raise IncompatibleArtifact("the ensemble's weights and members do not name the same models")
    return artifact
