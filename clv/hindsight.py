"""What became of a record, told from what is kept since: its bytes, its customer's state, the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from clv import ledger
from clv.errors import EventError
from clv.events import (
    CustomerErased,
    CustomerEvent,
    EmailEngaged,
    OrderPlaced,
    RescoreAsked,
    Tick,
    decode_event,
)
from clv.ledger import fingerprint
from clv.outcomes import rfc3339

if TYPE_CHECKING:
    from clv.rules import Rules
    from clv.state import CustomerState

Verdict = Literal["waiting", "refused", "applied", "duplicate", "erased", "rescored", "time", "ignored", "unknown"]


class Kept(NamedTuple):
    """What is kept of a record's surroundings.

    Parameters
    ----------
    is_read
        Whether the workers have acknowledged the record.
    reason, detail
        Of the dead letter from this very place; empty where there is none.
    state
        The customer's state as SQL has it, or what remains of it after an erasure; None where there is neither.
    has_score
        Whether a score names the record as its cause.
    front_ms
        How far events of its partition have come, epoch milliseconds; −1 where that is not known.
    """

    is_read: bool
    reason: str
    detail: str
    state: CustomerState | None
    has_score: bool
    front_ms: int


class Told(NamedTuple):
    """What became of a record, and how that is known."""

    verdict: Verdict
    because: str


def tell(key: bytes | None, value: bytes | None, kept: Kept, rules: Rules) -> Told:
    """Tell what became of a record of the orders topic.

    Nothing is guessed: where what is kept does not say, the verdict is ``unknown`` with what may have been.
    """
    if kept.reason:
        return Told("refused", f"a dead letter from this place says {kept.reason}: {kept.detail}")
    if not kept.is_read:
        return Told("waiting", "no worker has acknowledged it yet")
    try:
        event = decode_event(value, key, currency=rules.currency, digits=rules.digits)
    except EventError as problem:
        return Told("refused", f"{problem.reason}: {problem}; its dead letter is not stored (yet, or any more)")
    if isinstance(event, Tick):
        return Told("time", f"told its partition that time has come to {rfc3339(event.occurred_ms)}")
    if isinstance(event, RescoreAsked):
        if kept.has_score:
            return Told("rescored", "a score names it as its cause")
        return Told("ignored", "no score names it: the customer had no order, or the score is not stored (any more)")
    return _of_customer(event, kept, rules)


def _of_customer(event: CustomerEvent, kept: Kept, rules: Rules) -> Told:
    state = kept.state
    if isinstance(event, CustomerErased):
        if state is not None and state.erased_ms >= event.occurred_ms:
            return Told("applied", f"what happened up to {rfc3339(state.erased_ms)} is erased")
        return Told("unknown", "nothing is kept of the customer")
    if state is not None and state.erased_ms >= event.occurred_ms:
        return Told("erased", f"the customer was erased up to {rfc3339(state.erased_ms)}, it counts no more")
    if state is not None and (entry := _entry_of(event, state)) is not None:
        if isinstance(event, OrderPlaced) and entry.ref != fingerprint("event", event.event_id):
            return Told("duplicate", "the customer's ledger has its order_id from another event")
        return Told("applied", f"the customer's ledger has it at {rfc3339(entry.at_ms)}")
    if kept.has_score:
        return Told("applied", "a score names it as its cause")
    if kept.front_ms >= 0 and event.occurred_ms > kept.front_ms + rules.far_ahead_ms:
        return Told("waiting", f"its time is far ahead of {rfc3339(kept.front_ms)}: others have to agree")
    if state is not None and event.occurred_ms <= state.pruned_ms:
        return Told("unknown", f"the customer's ledger begins behind {rfc3339(state.pruned_ms)}")
    return Told("unknown", "neither the customer's state nor a score nor a dead letter has it: is the sink behind?")


def _entry_of(event: CustomerEvent, state: CustomerState) -> ledger.Entry | None:
    """Return the ledger's entry of an event, or of the same order or refund by another event."""
    kinds: tuple[int, ...]
    if isinstance(event, OrderPlaced):
        kinds, name = (ledger.ORDER,), fingerprint("order", event.order_id)
    elif isinstance(event, EmailEngaged):
        kinds, name = tuple(ledger.EMAIL_KINDS.values()), fingerprint("email", event.event_id)
    else:
        assert not isinstance(event, CustomerErased)
        kinds, name = (ledger.REFUND,), fingerprint("refund", event.refund_id)
    return next((e for e in ledger.unpack(state.ledger) if e.kind in kinds and e.id == name), None)
