"""Generated histories of a few customers, in arrival orders that stay inside the allowed lateness."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from clv.testing import email, erasure, order, refund

DAY = 86_400
START = 1_700_000_000 // DAY * DAY
LATENESS = DAY
CUSTOMERS = ("ann", "bob", "cy")


class Happening(NamedTuple):
    """One event before it is written: ``at`` in epoch seconds, amounts in cents."""

    at: int
    kind: str
    customer: str
    id: str
    cents: int
    order: str | None

    def record(self) -> tuple[bytes, bytes]:
        """Write the record."""
        amount = f"{self.cents // 100}.{self.cents % 100:02d}"
        if self.kind == "order":
            category = f"cat{self.cents % 5}"
            acquisition = {"source": f"src{self.cents % 3}", "campaign_type": "x", "cost": amount}
            return order(
                self.customer,
                self.id,
                self.at,
                amount,
                category=category,
                acquisition=acquisition if self.cents % 2 else None,
            )
        if self.kind == "refund":
            return refund(self.customer, self.id, self.at, amount, order_id=self.order)
        if self.kind == "erasure":
            return erasure(self.customer, self.id, self.at)
        return email(self.customer, self.id, self.at, ("sent", "opened", "clicked")[self.cents % 3])


@st.composite
def histories(draw: st.DrawFn, *, with_erasure: bool = False) -> list[Happening]:
    """Draw events with colliding times, refunds before, at and after their orders, and refunds of nothing known."""
    count = draw(st.integers(1, 25))
    kinds = ["order"] * 6 + ["refund"] * 3 + ["email"] + ["erasure"] * with_erasure
    step = draw(st.sampled_from([3_600, DAY // 2, DAY, 20 * DAY]))
    events: list[Happening] = []
    for place in range(count):
        kind = draw(st.sampled_from(kinds))
        customer = draw(st.sampled_from(CUSTOMERS))
        at = START + draw(st.integers(0, 25)) * step
        orders = [f"{customer}-o{n}" for n in range(place)]
        named = draw(st.sampled_from([None, "nowhere", *orders])) if kind == "refund" else None
        events.append(Happening(at, kind, customer, f"{customer}-{kind[0]}{place}", draw(st.integers(0, 5_000)), named))
    return events


@st.composite
def arrivals(draw: st.DrawFn, events: list[Happening]) -> list[Happening]:
    """Draw an order of arrival in which no event is late."""
    delays = draw(st.lists(st.integers(0, LATENESS), min_size=len(events), max_size=len(events)))
    keyed = sorted(zip(events, delays, strict=True), key=lambda pair: (pair[0].at + pair[1], pair[0].id))
    return [event for event, _ in keyed]


@st.composite
def repeated(draw: st.DrawFn, events: list[Happening]) -> list[Happening]:
    """Repeat some events right after themselves or at the end."""
    result: list[Happening] = []
    for event in events:
        result += [event] * draw(st.sampled_from([1, 1, 1, 2, 3]))
    return result + [event for event in events if draw(st.integers(0, 4)) == 0]


def splits(count: int) -> st.SearchStrategy[list[int]]:
    """Draw where to cut ``count`` records into batches."""
    return st.lists(st.integers(0, count), max_size=8).map(lambda cuts: sorted({0, count, *cuts}))
