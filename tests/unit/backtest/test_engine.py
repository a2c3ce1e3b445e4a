"""Days in, predictions out: the same code as in a worker, whatever the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backtest.days import days_of
from backtest.engine import Engine
from clv.events import OrderPlaced, OrderRefunded
from clv.outcomes import Score, rfc3339
from clv.rules import DAY_MS
from clv.settings import HOUR_MS, Settings
from clv.testing import PartitionRig
from clv.totals import Attributes, Totals, extract
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


SHOP = shop_log(90, 190).events
STRANGE: dict[str, Sequence[CustomerEvent]] = {
    "one order of a billion": [*SHOP, order("whale", 40.5, 10**11)],
    "a billion between small orders": [*SHOP, *(order("whale", 40.5 + d, 10 ** (11 - 8 * (d % 2))) for d in range(4))],
    "ten thousand orders": [*SHOP, *(order("busy", 5 + n / 100, 1_000, number=n) for n in range(10_000))],
    "five thousand orders of one day": [*SHOP, *(order("busy", 5.1 + n / 10_000, 100, number=n) for n in range(5_000))],
    "five thousand orders of the only one": [order("busy", 5 + n / 50, 1_000, number=n) for n in range(5_000)],
    "a billion given back": [
        *SHOP,
        whale := order("whale", 40.5, 10**11),
        refund("whale", 40.6, 10**11 - 700, of=whale),
    ],
    "a year's gap": [*shop_log(90, 60).events, *(order(f"c{n:07d}", 425 + n / 10, 2_000) for n in range(30))],
    "identical orders": [order(f"c{n}", 7 * week, 1_000) for n in range(60) for week in range(26)],
    "three customers": [order("abcaba"[n], day, 900 * n + 5) for n, day in enumerate((0, 3, 30, 61, 170, 240))],
}
MOST_TIMES = 20
MODELS = ("clv", "btyd", "glm", "online", "ensemble", "naive")


def greatest_windows(events: Sequence[CustomerEvent], horizon_days: int) -> list[tuple[int, int]]:
    """Return ends of days and what any customer had brought at most within a horizon by then, refunds taken off."""
    brought: dict[str, dict[int, int]] = {}
    found = []
    most = 0
    for day in days_of(events):
        for event in day.events:
            if isinstance(event, OrderPlaced | OrderRefunded):
                mine = brought.setdefault(event.customer_id, {})
                minor = event.total_minor if isinstance(event, OrderPlaced) else -event.amount_minor
                mine[day.number] = mine.get(day.number, 0) + minor
        for customer_id in {event.customer_id for event in day.events}:
            mine = brought[customer_id]
            most = max(most, sum(minor for number, minor in mine.items() if number > day.number - horizon_days))
        found.append((day.end_ms - 1, most))
    return found


@pytest.mark.parametrize("events", STRANGE.values(), ids=STRANGE)
def test_no_model_is_carried_away(events: Sequence[CustomerEvent]) -> None:
    """Predictions and intervals are finite and at most 20 times what anybody has brought within a horizon so far."""
    log = ListLog(sorted(events, key=lambda event: event.occurred_ms))
    engine = Engine(Settings(refit_days=45))
    greatest = greatest_windows(log.events, Settings().horizon_days)
    answered = set()
    most = 0
    for day in days_of(log):
        while greatest and greatest[0][0] < day.end_ms:
            most = greatest.pop(0)[1]
        scores = engine.pass_day(day).scores
        for name in (*MODELS, "lower", "upper", "clv_year"):
            values = getattr(scores, name)
            assert np.isfinite(values).all()
            assert (values >= 0).all()
            answered |= {name} if values.any() else set()
        for name in (*MODELS, "lower", "upper"):
            assert (getattr(scores, name) <= MOST_TIMES * most).all(), (day.number, name)
    assert {"clv", "btyd"} <= answered
    assert ("glm" in answered) == (len({event.customer_id for event in events}) >= 50)


@pytest.mark.parametrize("learned_days", [0, 100], ids=["prior", "learned"])
def test_a_hundred_thousand_orders_are_bounded_too(learned_days: int) -> None:
    """Of one customer, within a day or over ten years, whatever it spends: no more than 20 times its best horizon."""
    log = ListLog(SHOP)
    engine = Engine(Settings(refit_days=45))
    for day in days_of(log.until(learned_days)) if learned_days else ():
        engine.pass_day(day)
    now_ms = 90 * DAY_MS * 100
    most = max((minor for _, minor in greatest_windows(log.events, 90)), default=0) if learned_days else 0
    for gap_ms in (1, 900, DAY_MS * 3_650 // 100_000):
        for value_minor in (1, 1_000, 10**13):
            totals = Totals()
            for number in range(100_000):
                totals.fold_order(now_ms + number * gap_ms, value_minor)
            for silence_days in (0, 90, 3_650):
                as_of_ms = now_ms + 100_000 * gap_ms + silence_days * DAY_MS
                row = np.array([extract(totals, as_of_ms, Attributes())])
                scores = engine.learning.scorer.score(row, np.array([as_of_ms]))
                best = value_minor * min(100_000, -(-90 * DAY_MS // gap_ms))
                for name in (*MODELS, "lower", "upper"):
                    assert 0.0 <= getattr(scores, name)[0] <= MOST_TIMES * max(best, most), (gap_ms, value_minor, name)


@pytest.mark.parametrize("before", [[], [refund("a", 0, 5)]], ids=["unknown", "known for a refund"])
def test_nobody_the_pipeline_refused_is_predicted(before: list[CustomerEvent]) -> None:
    """A customer whose only order is beyond all amounts is counted, and has no row."""
    (day,) = days_of([*before, order("a", 0.1, 10**17), order("b", 0.2, 5)])
    said = Engine(SETTINGS).pass_day(day)
    assert [moment.customer_id for moment in said.moments] == ["b"]
    assert said.unscored == 1
