"""Windows of generated histories equal a recomputation from the raw events, and see nothing later than now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from clv.features import FEATURE_NAMES
from clv.moments import features_at
from clv.rules import DAY_MS, Rules
from clv.testing import PartitionRig
from clv.windows import ANNIVERSARY_DAYS, windows_of
from tests.properties.histories import CUSTOMERS, DAY, START, Happening, arrivals, histories, repeated
from tests.properties.test_laws import NO_GUARD, SOME

if TYPE_CHECKING:
    from clv.windows import Window

FIRST_DAY = START // DAY
ATTRIBUTES = ("category_count", "acquisition_cost_minor", "has_acquisition", "source_code", "campaign_code")
HORIZON_DAYS = Rules().horizon_days


def windows_by_customer(rig: PartitionRig, now_ms: int) -> dict[str, list[Window]]:
    """Every customer's windows."""
    return {customer: windows_of(rig.state(customer), now_ms, NO_GUARD) for customer in rig.rows.rows}


def fed(events: list[Happening]) -> PartitionRig:
    """A partition after the events."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([event.record() for event in events])
    return rig


def net_minor(events: list[Happening], until: int) -> int:
    """Net revenue of one customer's events before a moment in epoch seconds, told from the raw events."""
    known = [event for event in events if event.at < until]
    total = -sum(event.cents for event in known if event.kind == "refund" and event.order is None)
    for placed in (event for event in known if event.kind == "order"):
        refunds = sum(event.cents for event in known if event.kind == "refund" and event.order == placed.id)
        total += max(placed.cents - refunds, 0)
    return total


def expected_windows(events: list[Happening], today: int) -> list[tuple[int, int, int]]:
    """Day, span and value of one customer's windows, told from the raw events; ``today`` has not begun."""
    bought = {event.at // DAY for event in events if event.kind == "order" and event.cents and event.at // DAY < today}
    if not bought:
        return []
    days = bought | {min(bought) + later for later in ANNIVERSARY_DAYS}
    found = []
    for day in sorted(days):
        span = min(today - day - 1, HORIZON_DAYS)
        if day >= today - 360 and span >= 14:
            value = net_minor(events, (day + 1 + span) * DAY) - net_minor(events, (day + 1) * DAY)
            found.append((day, span, max(value, 0)))
    return found


def remaining(events: list[Happening], customer: str) -> list[Happening]:
    """A customer's events that no erasure has taken."""
    mine = [event for event in events if event.customer == customer]
    erased = max((event.at for event in mine if event.kind == "erasure"), default=-1)
    return [event for event in mine if event.kind != "erasure" and event.at > erased]


@SOME
@given(st.data())
def test_windows_equal_a_recomputation_from_the_raw_events(data: st.DataObject) -> None:
    """Beginnings, spans, values and features are what the events themselves say, whatever came when or twice."""
    events = data.draw(histories(with_erasure=True))
    rig = fed(data.draw(repeated(data.draw(arrivals(events)))))
    today = FIRST_DAY + data.draw(st.integers(1, 700))
    for customer in CUSTOMERS:
        left = remaining(events, customer)
        windows = windows_by_customer(rig, today * DAY_MS - 1).get(customer, [])
        told = [(window.as_of_ms // DAY_MS, window.span_days, window.value_minor) for window in windows]
        assert told == expected_windows(left, today)
        for window in windows:
            before = [event for event in left if event.at * 1000 <= window.as_of_ms]
            features = features_at(fed(before).state(customer), window.as_of_ms)
            names = set(FEATURE_NAMES)
            if any(event.kind == "erasure" and event.customer == customer for event in events):
                # An erasure takes attributes, those of later orders that came before it too.
                names -= {*ATTRIBUTES, "category_code"}
            seen, expected = (
                {name: value for name, value in zip(FEATURE_NAMES, row, strict=True) if name in names}
                for row in (window.features, features)
            )
            assert seen == expected


@SOME
@given(st.data())
def test_nothing_later_than_now_is_seen(data: st.DataObject) -> None:
    """Windows as of a moment are the same whether or not anything happened after it."""
    events = data.draw(arrivals(data.draw(histories())))
    now = START + data.draw(st.integers(0, 60 * 24)) * DAY // 2
    cut = [event for event in events if event.at <= now]
    early = windows_by_customer(fed(cut), now * 1000)
    late = windows_by_customer(fed(events), now * 1000)
    assert {customer: windows for customer, windows in late.items() if windows} == {
        customer: windows for customer, windows in early.items() if windows
    }
