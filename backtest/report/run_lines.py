"""Run logs of back-tests: what the trainer did on the way, one JSON object a line, read with an open mind.

Lines grow with time: what is not known is passed over, what is missing is absent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from clv.errors import InputError
from models.card import Importance

if TYPE_CHECKING:
    from pathlib import Path


class RunLines(msgspec.Struct, frozen=True, kw_only=True):
    """What a run log says; days are UTC since 1970-01-01 and ascend.

    Parameters
    ----------
    champions
        Day → model that answers from then on.
    weights
        Day → weight of each model in the answer.
    importance
        What the newest snapshot that was measured looks at; None where there is none.
    importance_day
        Day of that snapshot; None where there is none.
    refit_days
        Days on which models were fitted.
    alarms
        Drift: day, detector, what was expected, and what the last block of examples had.
    """

    champions: dict[int, str] = {}
    weights: dict[int, dict[str, float]] = {}
    importance: Importance | None = None
    importance_day: int | None = None
    refit_days: tuple[int, ...] = ()
    alarms: tuple[tuple[int, str, float, float], ...] = ()


def read_run_lines(path: Path) -> RunLines:
    """Read a run log.

    Raises
    ------
    InputError
        When it cannot be read or a line is not a JSON object.
    """
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        entries = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InputError(
            f"{path} cannot be read as a run log: {problem}", "it holds one JSON object a line"
        ) from problem
    dated = sorted(
        ((day, entry) for entry in entries if (day := _day(entry.get("as_of"))) is not None), key=lambda pair: pair[0]
    )
    measured = [(day, found) for day, entry in dated if (found := _importance(entry.get("importance")))]
    day, importance = measured[-1] if measured else (None, None)
    return RunLines(
        champions={day: entry["champion"] for day, entry in dated if _is_name(entry.get("champion"))},
        weights={day: weights for day, entry in dated if (weights := _shares(entry.get("weights")))},
        importance=importance,
        importance_day=day,
        refit_days=tuple(sorted({day for day, entry in dated if entry.get("kind") == "refit"})),
        alarms=tuple(alarm for _, entry in dated for alarm in _alarms(entry.get("alarms"))),
    )


def _day(as_of: object) -> int | None:
    try:
        return int(np.datetime64(str(as_of)[:10], "D").astype(np.int64)) if as_of else None
    except ValueError:
        return None


def _alarms(value: object) -> list[tuple[int, str, float, float]]:
    given = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return [
        (day, one["detector"], _number(one.get("before")), _number(one.get("after")))
        for one in given
        if (day := _day(one.get("at"))) is not None and _is_name(one.get("detector"))
    ]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _importance(value: object) -> Importance | None:
    """Return what was measured; None where it is not in the form that this build knows."""
    try:
        return msgspec.convert(value, Importance | None)
    except msgspec.ValidationError:
        return None


def _shares(value: object) -> dict[str, float]:
    """Return names and non-negative numbers as shares of their sum, largest first; nothing where there are none."""
    if not isinstance(value, dict):
        return {}
    numbers = {str(name): _number(number) for name, number in value.items()}
    total = sum(numbers.values())
    ranked = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return {name: number / total for name, number in ranked} if total > 0 else {}


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return max(float(value), 0.0) if is_number else 0.0  # type: ignore[arg-type]  # is_number narrows it
