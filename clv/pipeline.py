"""The middle of the road: one pure function over a batch of one partition's records.

Records are taken one by one: place in time, let due timers fire, apply. What is to be scored is gathered and scored
in one vectorised call; then segments are decided and outcomes written in order. Where a batch begins and ends means
nothing: any split of the same records gives the same outcomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from clv import rfm, watermark
from clv.erasure import remains_name
from clv.errors import EventError
from clv.events import CustomerErased, CustomerEvent, RescoreAsked, Tick, decode_event
from clv.moments import Moment, next_due_ms, next_silence_ms, pass_silence
from clv.outcomes import DeadLetter, Erased, Outcome, WatermarkPassed, event_id, rfc3339
from clv.rules import DAY_MS
from clv.state import CustomerState, Pending, Row
from clv.verdicts import Judgement, judge, matured_example
from clv.watermark import PartitionState, Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.rules import Rules
    from clv.timers import TimerIndex


class Record(NamedTuple):
    """Bytes as Kafka carries them, with their offset."""

    offset: int
    key: bytes | None
    value: bytes | None


class Rows(Protocol):
    """The customers' rows of one partition, as the pipeline reads them; it never writes them itself."""

    def get(self, customer_id: str) -> Row | None:
        """Return a fresh copy of a customer's row, None for one never seen."""
        ...

    def due_of(self, customer_id: str) -> int | None:
        """Return when a customer's next timer is due, None for one never seen."""
        ...


class Partition(NamedTuple):
    """One partition of the source with what is kept for it; ``state`` and ``timers`` change in place."""

    topic: str
    number: int
    state: PartitionState
    rows: Rows
    timers: TimerIndex


class Batch(msgspec.Struct):
    """What became of a batch: outcomes in order, and the rows that changed, None for those that are to go.

    What remains of an erased customer comes before the row that goes: a crash between the two must not forget it.
    """

    outcomes: list[Outcome]
    changed: dict[str, Row | None]


class _Matured(NamedTuple):
    customer_id: str
    pending: Pending
    source: str
    campaign_type: str


def process(records: Sequence[Record], partition: Partition, judgement: Judgement) -> Batch:
    """Apply records of one partition, in offset order, and return what came of them.

    Parameters
    ----------
    records
        Offsets ascend and may have holes. Records at or below the partition's applied offset are skipped; those at
        or below a row's applied offset move time but not that row.
    partition
        Where the records lie, and the state before them.
    judgement
        Models, policies and rules in force for all of these records.

    Returns
    -------
    Batch
        Outcomes in the order of their causes. Nothing is emitted twice for a record already applied.
    """
    run = _Run(partition, judgement.rules)
    for record in records:
        run.take(record)
    scored = judge([step for step in run.steps if isinstance(step, Moment)], judgement)
    return Batch(_in_order(run.steps, scored, judgement.rules), run.changed)


def _in_order(
    steps: Sequence[Moment | _Matured | Outcome], scored: dict[int, list[Outcome]], rules: Rules
) -> list[Outcome]:
    result: list[Outcome] = []
    for step in steps:
        if isinstance(step, Moment):
            result += scored.get(id(step), ())
        elif isinstance(step, _Matured):
            result.append(matured_example(*step, rules))
        else:
            result.append(step)
    return result


class _Run:
    """One pass over a batch's records: what is known so far, and what is to be scored and emitted, in order."""

    def __init__(self, partition: Partition, rules: Rules) -> None:
        self.topic, self.number, self.partition, self.rows, self.timers = partition
        self.rules = rules
        self.changed: dict[str, Row | None] = {}
        self.steps: list[Moment | _Matured | Outcome] = []
        self.offset = -1

    def take(self, record: Record) -> None:
        """Take one record: whatever it is, it is counted, and ends in state, in a dead letter, or waiting."""
        partition = self.partition
        if record.offset <= partition.applied_offset:
            return
        self.offset = partition.applied_offset = record.offset
        partition.counts.received += 1
        for waiting in watermark.expired(partition) if partition.waiting else ():
            self._dead(waiting, "from_the_future", "nobody agreed with its time")
        try:
            event = decode_event(record.value, record.key, currency=self.rules.currency, digits=self.rules.digits)
        except EventError as problem:
            partition.counts.dead += 1
            detail = str(problem)
            self.steps.append(self._dead_letter(record.key, record.value, problem.reason, detail, record.offset))
            return
        if isinstance(event, Tick):
            self._tick(event)
        elif isinstance(event, RescoreAsked):
            self._rescore(event)
        else:
            self._customer_event(event, record)

    def _tick(self, event: Tick) -> None:
        self.partition.counts.ticks += 1
        released, contradicted = watermark.tick(self.partition, event.occurred_ms, self.rules)
        for waiting in contradicted:
            self._dead(waiting, "from_the_future", "a Tick says that its time has not come")
        for waiting in released:
            self._apply_released(waiting)
        self.partition.front_ms = max(self.partition.front_ms, event.occurred_ms)
        self._fire_timers()
        self._report_progress()

    def _rescore(self, event: RescoreAsked) -> None:
        """Score a customer as it stands; whoever has no order has no score."""
        self.partition.counts.rescored += 1
        row = self._row(event.customer_id)
        if row.applied_offset < self.offset and row.state.totals.order_count:
            now_ms = self.partition.watermark_ms(self.rules)
            self.steps.append(rfm.moment_asked_for(event, row.state, now_ms, cause=f"{event.event_id}@{self.offset}"))
            self._keep(event.customer_id, row)

    def _customer_event(self, event: CustomerEvent, record: Record) -> None:
        row = self._row(event.customer_id)
        now_ms = self.partition.watermark_ms(self.rules)
        verdict = rfm.standing(row.state, event, now_ms, self.rules)
        counts = self.partition.counts
        if row.applied_offset >= record.offset:
            self._repeat(event, record)
        elif verdict == "duplicate":
            counts.duplicate += 1
        elif verdict == "erased":
            counts.erased += 1
        elif verdict == "too_late":
            counts.dead += 1
            self.steps.append(
                self._dead_letter(record.key, record.value, "too_late", "behind the duplicate window", record.offset)
            )
        elif watermark.is_far_ahead(self.partition, event.occurred_ms, self.rules):
            self._hold(event, record)
        else:
            self._apply(event, row)

    def _repeat(self, event: CustomerEvent, record: Record) -> None:
        """Take a record that its customer's row had seen before a crash: time moves by it as it did then."""
        if watermark.is_far_ahead(self.partition, event.occurred_ms, self.rules):
            self._hold(event, record)
        else:
            self.partition.counts.applied += 1
            self._move_front(event.occurred_ms)

    def _hold(self, event: CustomerEvent, record: Record) -> None:
        held = Waiting(
            event.occurred_ms,
            event.customer_id,
            record.key,
            record.value or b"",
            record.offset,
            self.partition.counts.received,
        )
        for waiting in watermark.hold(self.partition, held):
            self._dead(waiting, "from_the_future", "too many records wait for their time")
        for waiting in watermark.agreed(self.partition, self.rules):
            self._apply_released(waiting)

    def _apply_released(self, waiting: Waiting) -> None:
        event = decode_event(waiting.value, waiting.key, currency=self.rules.currency, digits=self.rules.digits)
        assert not isinstance(event, RescoreAsked | Tick)
        row = self._row(event.customer_id)
        verdict = rfm.standing(row.state, event, self.partition.watermark_ms(self.rules), self.rules)
        if verdict == "new":
            self._apply(event, row)
        elif row.applied_offset >= self.offset and event.customer_id not in self.changed:
            # Applied before a crash, by the same release: time moves by it as it did then.
            self.partition.counts.applied += 1
            self._move_front(event.occurred_ms)
        elif verdict == "erased":
            self.partition.counts.erased += 1
        elif verdict == "too_late":
            self._dead(waiting, "too_late", "behind the duplicate window")
        else:
            self.partition.counts.duplicate += 1

    def _apply(self, event: CustomerEvent, row: Row) -> None:
        """Move time, fire what that makes due, then reduce the event into its customer's state."""
        self._move_front(event.occurred_ms)
        now_ms = self.partition.watermark_ms(self.rules)
        counts = self.partition.counts
        counts.applied += 1
        counts.late += event.occurred_ms < now_ms
        row = self.changed.get(event.customer_id) or row  # a timer may have changed it meanwhile
        if isinstance(event, CustomerErased):
            self._erase(event, row, now_ms)
        else:
            self.steps += rfm.reduce(row.state, event, now_ms, self.rules)
            self._keep(event.customer_id, row)

    def _erase(self, event: CustomerErased, row: Row, now_ms: int) -> None:
        self.steps.append(Erased(event.customer_id, event.occurred_ms))
        row.state, moments = rfm.erase(row.state, event, now_ms, self.rules)
        self.steps += moments
        if rfm.is_bare(row.state):
            self._keep_remains(event.customer_id, row)
        else:
            self._keep(event.customer_id, row)

    def _move_front(self, at_ms: int) -> None:
        if at_ms > self.partition.front_ms:
            self.partition.front_ms = at_ms
            self._fire_timers()
            day = self.partition.watermark_ms(self.rules) // DAY_MS
            if day > self.partition.progress_day:
                self._report_progress()

    def _fire_timers(self) -> None:
        now_ms = self.partition.watermark_ms(self.rules)
        if self.timers.next_ms() >= now_ms:
            return
        for due_ms, customer_id in self.timers.due(now_ms, self._due_of):
            row = self._row(customer_id)
            self._fire(customer_id, row.state, due_ms)
            self._keep(customer_id, row)

    def _fire(self, customer_id: str, state: CustomerState, due_ms: int) -> None:
        if state.pending and state.pending[0].at_ms + self.rules.horizon_ms == due_ms:
            self.steps.append(_Matured(customer_id, state.pending.pop(0), state.source, state.campaign_type))
        if next_silence_ms(state) == due_ms:
            moment = pass_silence(customer_id, state, due_ms, self.rules)
            moment.is_emitted = True
            self.steps.append(moment)

    def _report_progress(self) -> None:
        partition = self.partition
        now_ms = partition.watermark_ms(self.rules)
        partition.progress_day = max(partition.progress_day, now_ms // DAY_MS)
        counts = msgspec.structs.asdict(partition.counts)
        self.steps.append(
            WatermarkPassed(
                event_id("watermark", partition.topic_id, self.number, self.offset, now_ms),
                self.number,
                rfc3339(max(now_ms, 0)),
                partition.topic_id,
                self.offset,
                counts | {"waiting": len(partition.waiting)},
            )
        )

    def _row(self, customer_id: str) -> Row:
        row = self.changed[customer_id] if customer_id in self.changed else self.rows.get(customer_id)
        return row or self._remains(customer_id) or Row(CustomerState())

    def _remains(self, customer_id: str) -> Row | None:
        """Return a new row for a customer that was erased, which knows of that; None for one that was not."""
        name = remains_name(customer_id, self.rules.erasure_key)
        remains = self.changed.get(name) or self.rows.get(name)
        return Row(CustomerState(erased_ms=remains.state.erased_ms), remains.applied_offset) if remains else None

    def _due_of(self, customer_id: str) -> int | None:
        if customer_id in self.changed:
            row = self.changed[customer_id]
            return row.due_ms if row else None
        return self.rows.due_of(customer_id)

    def _keep(self, customer_id: str, row: Row) -> None:
        row.applied_offset = max(row.applied_offset, self.offset)
        self.changed[customer_id] = row
        due_ms = next_due_ms(row.state, self.rules)
        if due_ms != row.due_ms:
            self.timers.add(due_ms, customer_id)
        row.due_ms = due_ms

    def _keep_remains(self, customer_id: str, row: Row) -> None:
        self.changed.pop(customer_id, None)
        name = remains_name(customer_id, self.rules.erasure_key)
        self.changed[name] = Row(row.state, max(row.applied_offset, self.offset))
        self.changed[customer_id] = None

    def _dead(self, waiting: Waiting, reason: str, detail: str) -> None:
        self.partition.counts.dead += 1
        self.steps.append(self._dead_letter(waiting.key, waiting.value, reason, detail, waiting.offset))

    def _dead_letter(self, key: bytes | None, value: bytes | None, reason: str, detail: str, offset: int) -> DeadLetter:
        return DeadLetter(key, value, reason, detail, self.topic, self.number, offset)
