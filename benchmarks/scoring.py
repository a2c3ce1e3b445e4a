"""What a customer's score costs: BTYD, regression, online model, ensemble and interval, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from benchmarks.measure import interleaved, medians
from models import btyd

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shop import Traded
    from models.ensemble import Ensemble
    from models.snapshot import ScorerSnapshot

BATCH_SIZES = (1, 32, 500, 5_000)
USUAL_SIZE = 500
TARGET_US = 20.0
_LEAST_ROWS = 5_000


def measure_scoring(
    traded: Traded, *, rounds: int, observe: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """Return microseconds a customer on one core, by batch size, and by part in batches of ``USUAL_SIZE``.

    Raises
    ------
    ValueError
        When the shop was too small for every model to have been fitted.
    """
    snapshot = traded.scorer.snapshots[-1]
    if not (snapshot.btyd and snapshot.glm and snapshot.online and snapshot.ensemble_digest):
        raise ValueError("the shop was too small for every model to be fitted")
    subjects = {f"batch_{size}": _scoring(traded, size) for size in BATCH_SIZES} | _parts(traded, snapshot)
    with threadpool_limits(limits=1):
        for work in subjects.values():
            work()  # warm: onnxruntime and numpy allocate at their first call
        found = {name: medians(runs) for name, runs in interleaved(subjects, rounds=rounds, observe=observe).items()}
    usual = found[f"batch_{USUAL_SIZE}"]
    return {
        "customers": len(traded.features),
        "champion": snapshot.champion,
        "cpu_us_per_customer": round(usual.cpu_us, 3),
        "target_us": TARGET_US,
        "is_within_target": usual.cpu_us <= TARGET_US,
        "batches": {str(size): found[f"batch_{size}"].as_dict() for size in BATCH_SIZES},
        "parts": {name: figures.as_dict() for name, figures in found.items() if not name.startswith("batch_")},
    }


def _scoring(traded: Traded, size: int) -> Callable[[], int]:
    rows, moments = traded.features, traded.as_of_ms
    total = min(len(rows), _LEAST_ROWS if size > 1 else _LEAST_ROWS // 10)

    def work() -> int:
        for start in range(0, total, size):
            end = min(start + size, total)
            traded.scorer.score(rows[start:end], moments[start:end])
        return total

    return work


def _parts(traded: Traded, snapshot: ScorerSnapshot) -> dict[str, Callable[[], int]]:
    rows = traded.features[:USUAL_SIZE]
    params, glm, online = snapshot.btyd, snapshot.glm, snapshot.online
    assert params is not None
    assert glm is not None
    assert online is not None
    base = btyd.answer(params, btyd.histories_of(rows), horizon_days=snapshot.horizon_days)
    expected = glm.predict(rows, base)
    ensemble: Ensemble = traded.scorer.ensemble_of(snapshot)
    parts: dict[str, Callable[[], object]] = {
        "btyd": lambda: btyd.answer(params, btyd.histories_of(rows), horizon_days=snapshot.horizon_days),
        "glm": lambda: glm.predict(rows, base),
        "online": lambda: online.predict(rows, expected, glm.support_minor),
        "ensemble": lambda: ensemble.predict(rows, expected, glm.support_minor),
        "interval": lambda: snapshot.intervals.bounds(expected),
    }

    def repeated(part: Callable[[], object]) -> Callable[[], int]:
        def work() -> int:
            for _ in range(_LEAST_ROWS // USUAL_SIZE):
                part()
            return _LEAST_ROWS // USUAL_SIZE * len(rows)

        return work

    return {name: repeated(part) for name, part in parts.items()}
