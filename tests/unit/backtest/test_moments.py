"""At which days' ends which customers are predicted."""

from __future__ import annotations

import msgspec
import pytest

from backtest.days import days_of
from backtest.moments import Calendar, CalendarState
from tests.unit.backtest.logs import ListLog, expected_moments, order, refund, shop_log


def found_moments(log: ListLog) -> dict[tuple[str, int], str]:
    """Return what the calendar says, day by day; no moment may come twice."""
    calendar = Calendar()
    said = [((m.customer_id, day.number), m.kind) for day in days_of(log) for m in calendar.moments(day)]
    assert len(said) == len(dict(said))
    return dict(said)


BOUGHT = order("a", 10, 500)
ODD = ListLog(
    [
        order("a", 0, 500, number=1),
        order("a", 0.2, 500, number=2),
        order("b", 0.3, 0),
        refund("c", 1, 100),
        order("d", 2, 300),
        refund("d", 2.5, 300),
        order("e", 3, 300),
        refund("e", 3.5, 299),
        BOUGHT,
        refund("a", 30, 400, of=BOUGHT),
        order("d", 40, 900),
        order("a", 60.1, 1),
        order("e", 400, 1),
    ]
)


@pytest.mark.parametrize("log", [ODD, shop_log(60, 200)], ids=["odd", "shop"])
def test_moments_are_the_protocols(log: ListLog) -> None:
    """Day by day come exactly the moments that the whole log has by the protocol's words, refunds and all."""
    assert found_moments(log) == expected_moments(log)


def test_a_day_that_nets_to_nothing_is_no_order() -> None:
    """Neither a free order, nor one refunded on its day, nor a refund alone is a moment, nor begins anything."""
    said = found_moments(ODD)
    assert {customer for customer, _ in said} == {"a", "d", "e"}
    assert min(day for customer, day in said if customer == "d") == BOUGHT.occurred_ms // 86_400_000 + 30


def test_a_days_moments_are_ordered_by_customer() -> None:
    """Whatever the order of the events."""
    calendar = Calendar()
    (day,) = days_of([order("b", 0, 1), order("c", 0, 1), order("a", 0, 1)])
    assert [moment.customer_id for moment in calendar.moments(day)] == ["a", "b", "c"]


def test_a_calendar_goes_on_from_its_state() -> None:
    """Half the days before and half after a round trip through bytes give the same moments."""
    log = shop_log(30, 150)
    calendar = Calendar()
    said: dict[tuple[str, int], str] = {}
    for day in days_of(log):
        if day.number % 7 == 0:
            calendar = Calendar(msgspec.msgpack.decode(msgspec.msgpack.encode(calendar.state), type=CalendarState))
        said |= {(moment.customer_id, day.number): moment.kind for moment in calendar.moments(day)}
    assert said == expected_moments(log)
