"""A crash between the rows of customers and the row of their partition: what is repeated must come out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.erasure import remains_name
from clv.outcomes import Outcome, Score, SegmentChange, TrainingExample, WatermarkPassed
from clv.state import decode_row
from clv.testing import PartitionRig, tick
from tests.properties.histories import CUSTOMERS, DAY, START, arrivals, histories, repeated

if TYPE_CHECKING:
    from clv.state import CustomerState


def given_out(outcomes: list[Outcome]) -> dict[str, bytes]:
    """Events by id, less the counters, which a crash may put in another column."""
    events = [o for o in outcomes if isinstance(o, Score | SegmentChange | TrainingExample | WatermarkPassed)]
    bare = [msgspec.structs.replace(o, counts={}) if isinstance(o, WatermarkPassed) else o for o in events]
    return {o.event_id: msgspec.json.encode(o) for o in bare}


def states(rig: PartitionRig) -> dict[str, CustomerState]:
    """Customers' states, without the place in the source that they were written at."""
    return {customer: decode_row(row, 1).state for customer, row in rig.rows.rows.items()}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_rows_ahead_of_their_partition(data: st.DataObject) -> None:
    """Some customers' rows durable, the partition's own not: repeated records end in the same states and events."""
    events = data.draw(repeated(data.draw(arrivals(data.draw(histories(with_erasure=True))))))
    records: list[tuple[bytes | None, bytes]] = [e.record() for e in events]
    for day in data.draw(st.lists(st.integers(0, 500), max_size=3)):
        records.insert(data.draw(st.integers(0, len(records))), tick(START + day * DAY))
    records.append(tick(START + 1_200 * DAY))
    start = data.draw(st.integers(0, len(records)))
    end = data.draw(st.integers(start, len(records)))
    rig = PartitionRig()
    outcomes = rig.feed(records[:start])
    crashed = rig.restarted()
    outcomes += rig.feed(records[start:end])
    for customer in data.draw(st.sets(st.sampled_from(CUSTOMERS))):
        # As the changelog has them: what remains of an erased customer, then the customer's own row.
        for name in [remains_name(customer, b""), customer][: data.draw(st.integers(1, 2))]:
            crashed.rows.put({name: rig.rows.get(name)})
    crashed = crashed.restarted()
    again = outcomes + crashed.feed(records[start:])
    outcomes += rig.feed(records[end:])
    assert states(rig) == states(crashed)
    assert given_out(outcomes) == given_out(again)
    assert rig.partition.state.front_ms == crashed.partition.state.front_ms
    assert [w.offset for w in rig.partition.state.waiting] == [w.offset for w in crashed.partition.state.waiting]
    assert rig.partition.state.counts.received == crashed.partition.state.counts.received
