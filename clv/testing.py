"""Stand-ins for tests, ours and our users': rows in memory, a scorer that is plain arithmetic, event writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from clv.erasure import remains_name
from clv.features import FEATURE_INDEX
from clv.outcomes import ModelVersions, Outcome
from clv.pipeline import Partition, Record, process
from clv.ports import Floats, Ints, ScoreBatch
from clv.rows import EncodedRows
from clv.rules import Rules
from clv.segments import Policies, SegmentPolicy
from clv.state import due_of
from clv.timers import TimerIndex
from clv.verdicts import Judgement
from clv.watermark import PartitionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clv.state import CustomerState


class ConstantScorer:
    """Scores a customer by arithmetic on its features: mean purchase value, halved every 60 days of silence."""

    def __init__(self, version: str = "constant") -> None:
        self._versions = (ModelVersions(scorer=version, champion="constant"),)

    def score(self, features: Floats, as_of_ms: Ints) -> ScoreBatch:
        """Score rows; see ``clv.ports.Scorer``."""
        value = features[:, FEATURE_INDEX["mean_purchase_value_minor"]]
        silence = features[:, FEATURE_INDEX["days_since_last_order"]]
        clv = value * 0.5 ** (silence / 60)
        count = len(clv)
        return ScoreBatch(
            clv=clv,
            lower=clv * 0.5,
            upper=clv * 1.5,
            clv_year=clv * 2,
            churn_probability=1 - 0.5 ** (silence / 60),
            next_order_ms=as_of_ms + 86_400_000,
            btyd=clv,
            glm=clv,
            online=clv,
            ensemble=clv,
            naive=value,
            version=np.zeros(count, np.int64),
            versions=self._versions,
            has_minimum_data=np.ones(count, np.bool_),
        )


class PartitionRig:
    """A partition run in memory: feed it records in batches and read outcomes and states.

    Examples
    --------
    >>> rig = PartitionRig()
    >>> outcomes = rig.feed([order("c1", "o1", "2024-01-01T00:00:00Z", "19.90")])
    >>> [type(outcome).__name__ for outcome in outcomes]
    ['WatermarkPassed', 'Score', 'SegmentChange']
    >>> rig.state("c1").totals.revenue_minor
    1990
    """

    def __init__(self, rules: Rules | None = None, policies: Policies | None = None) -> None:
        rules = rules or Rules()
        default = Policies([SegmentPolicy("fixed", 0, 10_000, 3_000)])
        self.judgement = Judgement(ConstantScorer(), policies or default, rules)
        self.rows = EncodedRows()
        self.partition = Partition("orders", 0, PartitionState(), self.rows, TimerIndex())
        self.next_offset = 0

    def feed(self, values: Iterable[tuple[bytes | None, bytes | None]]) -> list[Outcome]:
        """Process (key, value) pairs as one batch."""
        records = []
        for key, value in values:
            records.append(Record(self.next_offset, key, value))
            self.next_offset += 1
        return self.process(records)

    def process(self, records: Sequence[Record]) -> list[Outcome]:
        """Process records as one batch and write the changed rows back."""
        batch = process(records, self.partition, self.judgement)
        self.rows.put(batch.changed)
        return batch.outcomes

    def state(self, customer_id: str) -> CustomerState:
        """Return a customer's state, or what remains of it after an erasure."""
        row = self.rows.get(customer_id) or self.rows.get(remains_name(customer_id, self.judgement.rules.erasure_key))
        assert row is not None, f"{customer_id} has no row"
        return row.state

    def restarted(self) -> PartitionRig:
        """Return a rig that has recovered from this one's changelog: bytes only, timers rebuilt."""
        rig = PartitionRig()
        rig.judgement = self.judgement
        rig.next_offset = self.next_offset
        rig.rows.rows = dict(self.rows.rows)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.partition.state), type=PartitionState)
        timers = TimerIndex((due_of(row), customer) for customer, row in rig.rows.rows.items())
        rig.partition = Partition("orders", 0, state, rig.rows, timers)
        return rig


def order(  # noqa: PLR0913 - the fields of the event
    customer_id: str,
    order_id: str,
    occurred_at: str | float,
    total: str,
    *,
    event_id: str = "",
    category: str = "",
    acquisition: dict[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """Write an ``OrderPlaced`` record's key and value."""
    items = [{"sku": "s", "category": category, "quantity": 1, "unit_price": total}] if category else []
    return _record(
        customer_id,
        {
            "type": "OrderPlaced",
            "event_id": event_id or f"order:{order_id}",
            "occurred_at": occurred_at,
            "order_id": order_id,
            "total": total,
            "currency": "USD",
            "items": items,
            "acquisition": acquisition,
        },
    )


def refund(
    customer_id: str, refund_id: str, occurred_at: str | float, amount: str, *, order_id: str | None = None
) -> tuple[bytes, bytes]:
    """Write an ``OrderRefunded`` record's key and value."""
    return _record(
        customer_id,
        {
            "type": "OrderRefunded",
            "event_id": f"refund:{refund_id}",
            "occurred_at": occurred_at,
            "refund_id": refund_id,
            "amount": amount,
            "currency": "USD",
            "order_id": order_id,
        },
    )


def email(customer_id: str, event_id: str, occurred_at: str | float, action: str = "opened") -> tuple[bytes, bytes]:
    """Write an ``EmailEngaged`` record's key and value."""
    return _record(
        customer_id,
        {
            "type": "EmailEngaged",
            "event_id": event_id,
            "occurred_at": occurred_at,
            "campaign_id": "spring",
            "action": action,
        },
    )


def erasure(customer_id: str, event_id: str, occurred_at: str | float) -> tuple[bytes, bytes]:
    """Write a ``CustomerErased`` record's key and value."""
    return _record(customer_id, {"type": "CustomerErased", "event_id": event_id, "occurred_at": occurred_at})


def rescoring(customer_id: str, event_id: str) -> tuple[bytes, bytes]:
    """Write a ``RescoreAsked`` record's key and value."""
    return _record(customer_id, {"type": "RescoreAsked", "event_id": event_id, "occurred_at": "2030-01-01T00:00:00Z"})


def tick(as_of: str | float) -> tuple[None, bytes]:
    """Write a ``Tick`` record's key and value."""
    body = {"type": "Tick", "event_id": f"tick:{as_of}", "as_of": as_of, "schema_version": 1}
    return None, msgspec.json.encode(body)


def _record(customer_id: str, body: dict[str, object]) -> tuple[bytes, bytes]:
    whole = {"customer_id": customer_id, "schema_version": 1} | body
    return customer_id.encode(), msgspec.json.encode({k: v for k, v in whole.items() if v is not None})
