"""Drift: whether what matures still comes as it was predicted, and still looks as it did; by River's Page-Hinkley test.

Examples are taken in blocks, in the order of learning, and a block gives each signal one number: what single customers
do is noise. Orders and silences are watched apart, since their mix changes as a shop ages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from river.drift import PageHinkley

from clv.events import parse_time_ms
from clv.features import FEATURE_INDEX

if TYPE_CHECKING:
    from clv.outcomes import TrainingExample

BLOCK = 500
"""Examples that give one number."""
WARM_UP_BLOCKS = 4
"""Blocks that tell how an input looks, before it is watched."""
KEPT_ALARMS = 20
_LAST_VALUE = FEATURE_INDEX["last_purchase_value_minor"]
_REPEATS = FEATURE_INDEX["repeat_purchase_count"]
_LONG_KNOWN = 1e9  # values that River's running mean is told to have seen: it is to stay 0
_LEAST_SPREAD = 0.05


class Bounds(NamedTuple):
    """What the test lets pass: ``tolerated`` a block for good, and ``threshold`` beyond that, added up."""

    tolerated: float
    threshold: float


ERROR = Bounds(tolerated=0.5, threshold=12.0)
"""In standard errors of a block's sum: by chance once in a hundred thousand blocks; half the revenue shows in six."""
INPUT = Bounds(tolerated=0.1, threshold=0.5)
"""In standard deviations of single values."""


class Alarm(msgspec.Struct, frozen=True):
    """A detector fired.

    ``at`` is the event time (RFC 3339) at which the example that made it fire had matured. ``before`` is what was
    expected, ``after`` what the last block had: for an error, revenue over what was predicted; for an input, its mean.
    ``example_count`` examples had been watched since the alarm before.
    """

    detector: str
    at: str
    before: float
    after: float
    example_count: int


class DetectorState(msgspec.Struct):
    """One signal's plain numbers: the block being filled, what is normal, and the sums of Page's test.

    ``values`` and ``squares`` add up the block's values, ``scale`` what they are a part of. ``normal_blocks`` of an
    input have told its ``mean`` and the mean of its squares so far. What was scored before ``since_ms`` is passed
    over.
    """

    count: int = 0
    values: float = 0.0
    squares: float = 0.0
    scale: float = 0.0
    normal_blocks: int = 0
    mean: float = 0.0
    mean_square: float = 0.0
    tested_blocks: int = 0
    sum_increase: float = 0.0
    min_increase: float = 0.0
    sum_decrease: float = 0.0
    max_decrease: float = 0.0
    since_ms: int = -1


class DriftState(msgspec.Struct):
    """Detectors by signal, and the last alarms, oldest first."""

    detectors: dict[str, DetectorState] = {}
    alarms: tuple[Alarm, ...] = ()

    @property
    def alarmed_ms(self) -> int:
        """When the last alarm was given, epoch milliseconds of event time; -1 for never."""
        return parse_time_ms(self.alarms[-1].at) if self.alarms else -1

    def update(self, example: TrainingExample) -> list[Alarm]:
        """Take an example that was learned after all others; return the alarms that it sets off, mostly none.

        ``error:order`` and ``error:silence`` compare what came with what was given out then. Of orders,
        ``input:order_value`` is the logarithm of the last purchase day's value, ``input:new_customers`` the share of
        first purchases. After an alarm its detector begins anew with what was scored later: that predictions made
        before were off is known, though they mature for a whole horizon.

        Notes
        -----
        About 2 µs; deterministic.

        References
        ----------
        Page 1954, "Continuous inspection schemes", Biometrika 41: the test. De la Peña, Lai and Shao 2009,
        "Self-normalized processes": a sum over the root of the sum of its squares needs no assumption of spread.
        """
        came, said = float(max(example.value_minor, 0)), example.clv_minor
        as_of_ms = parse_time_ms(example.as_of)
        signals = [(f"error:{example.moment}", came - said, said)]
        if example.moment == "order":
            signals += [
                ("input:order_value", math.log(max(example.features[_LAST_VALUE], 1.0)), 0.0),
                ("input:new_customers", float(example.features[_REPEATS] == 0.0), 0.0),
            ]
        fired = []
        for name, value, scale in signals:
            held = self.detectors.setdefault(name, DetectorState())
            if as_of_ms < held.since_ms or (found := _add(held, name, value, scale)) is None:
                continue
            fired.append(Alarm(name, example.matured_at, *found, example_count=held.tested_blocks * BLOCK))
            self.detectors[name] = DetectorState(since_ms=parse_time_ms(example.matured_at))
        if fired:
            self.alarms = (*self.alarms, *fired)[-KEPT_ALARMS:]
        return fired


def _add(held: DetectorState, name: str, value: float, scale: float) -> tuple[float, float] | None:
    """Take a value; return what was expected and what the block had if that completes a block that drifts."""
    held.count += 1
    held.values += value
    held.squares += value * value
    held.scale += scale
    if held.count < BLOCK:
        return None
    found = _error(held) if name.startswith("error:") else _input(held)
    held.count, held.values, held.squares, held.scale = 0, 0.0, 0.0, 0.0
    return found


def _error(held: DetectorState) -> tuple[float, float] | None:
    standardised = held.values / math.sqrt(held.squares) if held.squares else 0.0
    is_drift = _is_drift(held, standardised, ERROR)
    return (1.0, 1.0 + held.values / max(held.scale, 1.0)) if is_drift else None


def _input(held: DetectorState) -> tuple[float, float] | None:
    mean = held.values / BLOCK
    if held.normal_blocks < WARM_UP_BLOCKS:
        held.normal_blocks += 1
        held.mean += (mean - held.mean) / held.normal_blocks
        held.mean_square += (held.squares / BLOCK - held.mean_square) / held.normal_blocks
        return None
    spread = math.sqrt(max(held.mean_square - held.mean**2, 0.0))
    is_drift = _is_drift(held, (mean - held.mean) / max(spread, _LEAST_SPREAD), INPUT)
    return (held.mean, mean) if is_drift else None


def _is_drift(held: DetectorState, value: float, bounds: Bounds) -> bool:
    """Put a block's number to the test, whose sums go on from where they stand."""
    test = _Page(held, bounds)
    test.update(value)
    test.keep(held)
    return bool(test.drift_detected)


class _Page(PageHinkley):  # type: ignore[misc]  # River's detectors are not typed
    """River's test, from plain numbers and back: it has no public way. Its tests say when its names have moved."""

    def __init__(self, held: DetectorState, bounds: Bounds) -> None:
        super().__init__(min_instances=1, delta=bounds.tolerated, threshold=bounds.threshold, alpha=1.0)
        self._x_mean.n = _LONG_KNOWN
        self._sum_increase, self._min_increase = held.sum_increase, held.min_increase
        self._sum_decrease, self._max_decrease = held.sum_decrease, held.max_decrease

    def keep(self, held: DetectorState) -> None:
        """Write down where the sums stand."""
        held.tested_blocks += 1
        held.sum_increase, held.min_increase = self._sum_increase, self._min_increase
        held.sum_decrease, held.max_decrease = self._sum_decrease, self._max_decrease
