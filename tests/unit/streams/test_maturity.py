"""The order of learning: by maturity, whatever the interleaving, each example once."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.errors import EventError
from clv.events import parse_time_ms
from clv.outcomes import ExampleTopicEvent, TrainingExample, WatermarkPassed, rfc3339
from clv.rules import DAY_MS
from models.maturity import in_order, place_of
from streams.maturity import MaturityMerge
from tests.contract.storage.outputs import example

DAY0_MS = parse_time_ms("1997-04-01T00:00:00Z")
Log = list[ExampleTopicEvent]


def matured(customer_id: str, day: int, *, scorer: str = "s1") -> TrainingExample:
    """Return an example of a customer that matured on a day."""
    at_ms = DAY0_MS + day * DAY_MS
    return example(
        f"{customer_id}-{day}-{scorer}",
        customer_id,
        as_of=rfc3339(at_ms - 90 * DAY_MS),
        matured_at=rfc3339(at_ms),
        scorer_version=scorer,
    )


def passed(partition: int, day: int) -> WatermarkPassed:
    """Return a partition's watermark at the beginning of a day."""
    return WatermarkPassed(f"w{partition}-{day}", partition, rfc3339(DAY0_MS + day * DAY_MS), "t", 0, {})


def feed(merge: MaturityMerge, partition: int, *events: ExampleTopicEvent, offset: int = 0) -> None:
    """Add consecutive records of a partition."""
    for place, event in enumerate(events, offset):
        merge.add(partition, place, event)


def merge_of(partitions: int = 2) -> MaturityMerge:
    """Return a merge that knows nothing yet."""
    return MaturityMerge(dict.fromkeys(range(partitions), -1), {}, -1)


@st.composite
def logs(draw: st.DrawFn) -> dict[int, Log]:
    """Draw three partitions' logs: per day some examples, then the watermark, which may skip days; repeats mixed in."""
    drawn: dict[int, Log] = {}
    for partition in range(3):
        log: Log = []
        for day in range(6):
            for number in range(draw(st.integers(0, 3))):
                log.append(matured(f"c{partition}-{number}", day))
            if day == 5 or draw(st.booleans()):
                log.append(passed(partition, day + 1))
        if draw(st.booleans()):
            # A worker that crashed gives out again what it had given out, by another model.
            start, end = sorted((draw(st.integers(0, len(log))), draw(st.integers(0, len(log)))))
            log[end:end] = [
                one if isinstance(one, WatermarkPassed) else msgspec.structs.replace(one, scorer_version="s2")
                for one in log[start:end]
            ]
        drawn[partition] = log
    return drawn


def expected_of(drawn: dict[int, Log]) -> list[TrainingExample]:
    """Return the examples of all partitions by place, the first of each."""
    return in_order(*([one for one in log if not isinstance(one, WatermarkPassed)] for log in drawn.values()))


@settings(deadline=None)
@given(logs(), st.data())
def test_the_order_is_by_maturity_whatever_the_interleaving(drawn: dict[int, Log], data: st.DataObject) -> None:
    """However the partitions' records come in between each other, the same examples come out in the same order."""
    merge, learned = merge_of(3), list[TrainingExample]()
    left = {partition: list(enumerate(log)) for partition, log in drawn.items()}
    while waiting := [partition for partition, log in left.items() if log]:
        partition = data.draw(st.sampled_from(waiting))
        offset, event = left[partition].pop(0)
        merge.add(partition, offset, event)
        learned += merge.release()
    assert learned == expected_of(drawn)


@settings(deadline=None)
@given(logs(), st.data())
def test_a_restart_anywhere_repeats_and_loses_nothing(drawn: dict[int, Log], data: st.DataObject) -> None:
    """A merge that begins with what the one before had released reads on from its offsets."""
    merge, learned = merge_of(3), list[TrainingExample]()
    positions = dict.fromkeys(drawn, 0)
    for choice in data.draw(st.lists(st.integers(0, 14), max_size=60)):
        if choice < 3:
            merge = MaturityMerge(merge.safe_watermarks(), merge.offsets(), merge.through_ms)
            positions = merge.offsets()
        partition = choice % 3
        if positions[partition] < len(drawn[partition]):
            merge.add(partition, positions[partition], drawn[partition][positions[partition]])
            positions[partition] += 1
        learned += merge.release()
    for partition, log in drawn.items():
        for offset in range(positions[partition], len(log)):
            merge.add(partition, offset, log[offset])
    assert [*learned, *merge.release()] == expected_of(drawn)


def test_a_silent_partition_holds_everything_back() -> None:
    """Until every partition has told its time, nothing is released."""
    merge = merge_of()
    merge.add(0, 0, matured("a", 1))
    merge.add(0, 1, passed(0, 9))
    assert merge.release() == []
    merge.add(1, 0, passed(1, 2))
    assert merge.release() == [matured("a", 1)]
    assert merge.through_ms == DAY0_MS + 2 * DAY_MS


def test_what_matures_at_the_watermark_waits() -> None:
    """A label that matures exactly at the watermark may still have company: it is released with the next."""
    merge = merge_of(1)
    merge.add(0, 0, matured("a", 2))
    merge.add(0, 1, passed(0, 2))
    assert merge.release() == []
    merge.add(0, 2, passed(0, 3))
    assert merge.release() == [matured("a", 2)]


def test_a_repetition_behind_a_held_example_is_not_learned_again() -> None:
    """An example that comes again after one was released and while a later one is held counts once."""
    merge = merge_of(1)
    feed(merge, 0, matured("a", 1), matured("b", 5), matured("a", 1, scorer="s2"), passed(0, 3))
    assert merge.release() == [matured("a", 1)]
    merge.add(0, 4, passed(0, 9))
    assert merge.release() == [matured("b", 5)]


def test_an_example_out_of_order_is_put_in_order_and_read_again() -> None:
    """One that comes behind a later one is released first; the restart offset covers both."""
    merge = merge_of(1)
    feed(merge, 0, matured("b", 5), matured("a", 4), passed(0, 5))
    assert merge.offsets() == {0: 0}
    assert merge.release() == [matured("a", 4)]
    assert merge.offsets() == {0: 0}


def test_a_restart_does_not_pass_over_what_is_read_again() -> None:
    """An example held at a restart is still learned when another partition's time moves before it is read again."""
    merge = merge_of()
    feed(merge, 0, matured("a", 5), passed(0, 9))
    merge.add(1, 0, passed(1, 3))
    assert merge.release() == []
    merge = MaturityMerge(merge.safe_watermarks(), merge.offsets(), merge.through_ms)
    merge.add(1, 1, passed(1, 7))
    assert merge.release() == []
    feed(merge, 0, matured("a", 5), passed(0, 9))
    assert merge.release() == [matured("a", 5)]


def test_time_never_goes_back() -> None:
    """A watermark that is repeated after a crash moves nothing."""
    merge = merge_of(1)
    merge.add(0, 0, passed(0, 3))
    merge.release()
    merge.add(0, 1, passed(0, 2))
    assert (merge.slowest_ms(), merge.release()) == (DAY0_MS + 3 * DAY_MS, [])
    merge.add(0, 2, matured("a", 1))
    merge.add(0, 3, passed(0, 4))
    assert merge.release() == []


def test_offsets_pass_over_what_cannot_be_read() -> None:
    """An example without a readable time is refused, and not read again after a restart."""
    merge = merge_of(1)
    with pytest.raises(EventError):
        merge.add(0, 7, example("x", "c", matured_at="yesterday"))
    assert merge.offsets() == {0: 8}


def test_sources_are_put_in_one_order() -> None:
    """Of the same label from two sources the first source's counts."""
    first, second = matured("a", 2, scorer="s1"), matured("a", 2, scorer="s2")
    assert place_of(first) == place_of(second)
    assert in_order([first, matured("c", 1)], [second, matured("b", 1)]) == [matured("b", 1), matured("c", 1), first]
