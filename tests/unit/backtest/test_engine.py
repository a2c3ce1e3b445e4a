"""Days in, predictions out: the same code as in a worker, whatever the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backtest.days import days_of
from backtest.engine import Engine
from clv.outcomes import Score, rfc3339
from clv.rules import DAY_MS
from clv.settings import HOUR_MS, Settings
from clv.testing import PartitionRig
from clv.verdicts import Judgement
from producers.encode import encode_event, key_of, tick_event
from tests.unit.backtest.logs import ListLog, expected_moments, order, refund, shop_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.events import CustomerEvent

SETTINGS = Settings(refit_days=40)
LAST_MS = DAY_MS - 1


def test_predictions_are_what_a_worker_gives_out() -> None:
    """With the same snapshots, an order in a day's last millisecond is scored by the pipeline as by the back-test."""
    shop, last = shop_log(150, 170), 169
    buyers = sorted({event.customer_id for event in shop})[:40]
    evening = [order(customer, last + LAST_MS / DAY_MS, 1_234) for customer in buyers]
    log = ListLog([*shop.until(last), *evening])
    engine = Engine(SETTINGS)
    *before, today = days_of(log)
    for day in before:
        engine.pass_day(day)
    said = engine.pass_day(today)
    rig = PartitionRig()
    for day in before:
        rig.feed([*((key_of(e), encode_event(e, currency="USD", digits=2)) for e in day.events), _tick(day.end_ms)])
    rig.judgement = Judgement(engine.learning.scorer, rig.judgement.policies, rig.judgement.rules)
    outcomes = rig.feed([(key_of(e), encode_event(e, currency="USD", digits=2)) for e in today.events])
    given = {one.customer_id: one for one in outcomes if isinstance(one, Score)}
    rows = [(row, given[m.customer_id]) for row, m in enumerate(said.moments) if m.customer_id in buyers]
    assert len(rows) == len(buyers)
    for row, score in rows:
        scores = said.scores
        assert score.as_of.endswith("T23:59:59.999Z")
        assert score.expected_next_order_at == rfc3339(int(scores.next_order_ms[row]))
        assert score.models.scorer == scores.versions[scores.version[row]].scorer != ""
        assert (score.clv_minor, score.clv_lower_minor, score.clv_upper_minor) == tuple(
            int(np.rint(column[row])) for column in (scores.clv, scores.lower, scores.upper)
        )


def _tick(at_ms: int) -> tuple[None, bytes]:
    return None, encode_event(tick_event(0, at_ms), currency="USD", digits=2)


def test_a_day_is_one_whatever_its_batches() -> None:
    """Batches of one record and of a thousand give the same bits, also where snapshots fall into the day."""
    log, settings = shop_log(150, 90), Settings(refit_days=3, horizon_days=20, allowed_lateness_ms=36 * HOUR_MS)
    wide, narrow = Engine(settings), Engine(replace(settings, batch_records=1))
    for day in days_of(log):
        one, other = wide.pass_day(day), narrow.pass_day(day)
        assert one.moments == other.moments
        for name in ("clv", "lower", "upper"):
            assert getattr(one.scores, name).tobytes() == getattr(other.scores, name).tobytes()
    assert wide.learning.learner.metrics() == narrow.learning.learner.metrics() != {}


HUGE = 10**13
ABSURD: dict[str, Sequence[CustomerEvent]] = {
    "three customers": [order("a", 0, 100), order("b", 1, 100), order("c", 400, 100)],
    "one order": [order("a", 0, 1)],
    "huge amounts": [order(c, d, HUGE, number=d) for d in range(0, 300, 3) for c in ("a", "b")],
    "beyond all amounts": [order("a", 0, 500), order("a", 1, 10**17), order("b", 1, 10**17), order("b", 99, 5)],
    "same day": [order("a", 0.0, 100, number=n) for n in range(50)] + [order("b", 200, 100)],
    "repeated rows": [order("a", 0, 100), order("a", 0, 100), order("a", 90, 100), order("b", 300, 1)],
    "refunds": [
        refund("a", 0, 100),
        order("a", 1, 100),
        refund("a", 2, HUGE),
        order("a", 3, 1),
        *(refund("a", 4 + n, 1) for n in range(200)),
    ],
    "free orders": [order("a", n, 0) for n in range(100)] + [order("a", 150, 1), order("b", 400, 1)],
    "nothing but refunds": [refund("a", n, 100) for n in range(100)],
    "1970": [order("a", -19_723, 100), order("b", 0, 100)],
    "a wrong year": [order("a", 0, 100), order("b", 50, 100), order("a", 25_000, 100)],
}


@pytest.mark.parametrize("events", ABSURD.values(), ids=ABSURD)
def test_every_prediction_is_finite_and_inside_its_interval(events: Sequence[CustomerEvent]) -> None:
    """Whatever the log says, no prediction is missing, negative or not a number, and no moment is lost."""
    log = ListLog(events)
    engine = Engine(Settings(refit_days=20))
    days = list(days_of(log))
    rows = 0
    for day in days:
        said = engine.pass_day(day)
        scores = said.scores
        for values in (scores.clv, scores.lower, scores.upper, scores.naive):
            assert np.isfinite(values).all()
            assert (values >= 0).all()
        assert (scores.lower <= scores.clv).all()
        assert (scores.clv <= scores.upper).all()
        rows += len(said.moments) + said.unscored
    last = days[-1].number
    assert rows == sum(day <= last for _, day in expected_moments(log))


@pytest.mark.parametrize("before", [[], [refund("a", 0, 5)]], ids=["unknown", "known for a refund"])
def test_nobody_the_pipeline_refused_is_predicted(before: list[CustomerEvent]) -> None:
    """A customer whose only order is beyond all amounts is counted, and has no row."""
    (day,) = days_of([*before, order("a", 0.1, 10**17), order("b", 0.2, 5)])
    said = Engine(SETTINGS).pass_day(day)
    assert [moment.customer_id for moment in said.moments] == ["b"]
    assert said.unscored == 1
