"""The reducer: one event into one customer's state.

An event later than all before it folds in directly. Any other event, and a refund that changes what others took, is
put where it belongs and everything not yet settled is folded again, so that the result depends on the set of events,
not on the order in which they came (inside the allowed lateness).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Literal

from clv import ledger
from clv.events import CustomerErased, EmailEngaged, OrderPlaced, OrderRefunded, RescoreAsked
from clv.ledger import EMAIL_KINDS, NO_REF, Effect, Entry, fingerprint
from clv.moments import (
    Moment,
    add_value,
    moment_at,
    skip_silences,
    snapshot,
    take_silences,
    value_between,
)
from clv.state import CustomerState
from clv.totals import Totals

if TYPE_CHECKING:
    from clv.events import CustomerEvent
    from clv.outcomes import Reason
    from clv.rules import Rules

MAX_CATEGORIES = 64
Standing = Literal["new", "duplicate", "erased", "too_late"]
Happening = OrderPlaced | OrderRefunded | EmailEngaged
_REASONS: dict[type, Reason] = {OrderPlaced: "order", OrderRefunded: "refund", EmailEngaged: "engagement"}


def standing(state: CustomerState, event: CustomerEvent, watermark_ms: int, rules: Rules) -> Standing:
    """Tell whether an event is new to a customer; duplicate is checked before late.

    Parameters
    ----------
    state
        The customer's state; unchanged.
    event
        A valid event of this customer.
    watermark_ms
        The partition's watermark before the event, epoch milliseconds.
    rules
        ``window_ms`` behind the watermark an event is too late: its id might have been forgotten.
    """
    if state.erased_ms >= event.occurred_ms:
        return "duplicate" if isinstance(event, CustomerErased) else "erased"
    if _is_known(state.ledger, event):
        return "duplicate"
    if isinstance(event, CustomerErased):
        return "new"
    if event.occurred_ms <= state.pruned_ms or event.occurred_ms < watermark_ms - rules.window_ms:
        return "too_late"
    return "new"


def _is_known(entries: bytes, event: CustomerEvent) -> bool:
    if not entries:
        return False
    if isinstance(event, OrderPlaced):
        return ledger.has_id(entries, fingerprint("order", event.order_id)) or ledger.has_ref(
            entries, fingerprint("event", event.event_id)
        )
    if isinstance(event, OrderRefunded):
        return ledger.has_id(entries, fingerprint("refund", event.refund_id))
    if isinstance(event, EmailEngaged):
        return ledger.has_id(entries, fingerprint("email", event.event_id))
    return False


def reduce(state: CustomerState, event: Happening, watermark_ms: int, rules: Rules) -> list[Moment]:
    """Apply a new event (see ``standing``) to the customer's state and return the moments to score.

    The last moment is the event's own, and is emitted; a customer without an order has none.

    Notes
    -----
    In order: constant work but for the append to the ledger. Out of order: linear in the ledger.
    """
    entry = _entry(event)
    _attribute(state, event)
    if entry.at_ms > state.latest_ms:
        moments = _append(event.customer_id, state, entry, watermark_ms, rules)
    elif _joins_latest(state, entry, watermark_ms):
        moments = _join(event.customer_id, state, entry, rules)
    else:
        entries = ledger.unpack(state.ledger)
        moments = _refold(event.customer_id, state, entries, ledger.with_entry(entries, entry), watermark_ms, rules)
    _prune(state, watermark_ms - rules.window_ms)
    if state.totals.order_count:
        moments.append(_own_moment(event, state, watermark_ms, moments, _REASONS[type(event)]))
    return moments


def erase(
    state: CustomerState, event: CustomerErased, watermark_ms: int, rules: Rules
) -> tuple[CustomerState, list[Moment]]:
    """Return what remains of a customer after an erasure: what happened later, less categories and acquisition."""
    kept = [e for e in ledger.unpack(state.ledger) if e.at_ms > event.occurred_ms]
    remains = CustomerState(erased_ms=event.occurred_ms)
    if not kept:
        return remains, []
    moments = _refold(event.customer_id, remains, [], kept, watermark_ms, rules)
    if remains.totals.order_count:
        moments.append(_own_moment(event, remains, watermark_ms, moments, "order"))
    return remains, moments


def is_bare(state: CustomerState) -> bool:
    """Tell whether nothing is left of a customer but that it was erased."""
    return state.erased_ms >= 0 and not state.ledger and not state.totals.order_count


def _own_moment(
    event: CustomerEvent, state: CustomerState, watermark_ms: int, taken: list[Moment], reason: Reason
) -> Moment:
    """The event's own score: as of the customer's latest event, or of now where that lies behind."""
    as_of_ms = max(state.latest_ms, watermark_ms)
    if taken and taken[-1].as_of_ms == as_of_ms and taken[-1].reason == "order":
        moment = taken.pop()  # the snapshot was taken of the very same state
        moment.reason, moment.cause = reason, event.event_id
    else:
        moment = moment_at(event.customer_id, state, as_of_ms, reason=reason, cause=event.event_id, pending=None)
    moment.is_emitted = True
    return moment


def moment_asked_for(event: RescoreAsked, state: CustomerState, watermark_ms: int, *, cause: str) -> Moment:
    """Return a score to give out of a customer as it stands, as of its latest event or of now where that lies behind.

    Its reason says another model; ``clv.verdicts`` looks whether that is so.
    """
    as_of_ms = max(state.latest_ms, watermark_ms)
    moment = moment_at(event.customer_id, state, as_of_ms, reason="model_changed", cause=cause, pending=None)
    moment.is_emitted = True
    return moment


def _append(customer_id: str, state: CustomerState, entry: Entry, watermark_ms: int, rules: Rules) -> list[Moment]:
    """Fold in an event later than all before it."""
    is_late = entry.at_ms < watermark_ms
    moments = take_silences(customer_id, state, entry.at_ms, rules) if not is_late else []
    effect = ledger.effect_of_last(state.ledger, entry)
    state.ledger += ledger.pack([entry])
    state.latest_ms = entry.at_ms
    state.totals.fold(entry, effect.refunded_minor)
    if effect.net_minor:
        add_value(state, entry.at_ms, effect.net_minor, rules.horizon_ms)
    if entry.kind == ledger.ORDER:
        state.silence_step = 0
        pending = None if is_late else snapshot(state, entry.at_ms, is_silence=False, horizon_ms=rules.horizon_ms)
        if pending:
            moments.append(
                moment_at(
                    customer_id, state, entry.at_ms, reason="order", cause=f"order:{entry.at_ms}", pending=pending
                )
            )
    if is_late:
        skip_silences(state, watermark_ms)
    return moments


def _joins_latest(state: CustomerState, entry: Entry, watermark_ms: int) -> bool:
    """Tell whether an order falls into the instant of the customer's latest event, which holds orders alone."""
    return (
        entry.kind == ledger.ORDER
        and entry.at_ms == state.latest_ms >= watermark_ms
        and bool(state.ledger)
        and ledger.last(state.ledger).kind == ledger.ORDER
    )


def _join(customer_id: str, state: CustomerState, entry: Entry, rules: Rules) -> list[Moment]:
    """Add another order to the latest instant: the same as folding all again, without its cost.

    Orders of an instant add up whatever their order. The instant's snapshot, if it is one, is taken again with them.
    """
    effect = ledger.effect_of_last(state.ledger, entry)
    state.ledger = ledger.inserted(state.ledger, entry)
    state.totals.fold(entry, effect.refunded_minor)
    add_value(state, entry.at_ms, effect.net_minor, rules.horizon_ms)
    opened = state.pending[-1] if state.pending else None
    if opened is None or opened.at_ms != entry.at_ms:
        return []
    cause = f"order:{entry.at_ms}"
    return [moment_at(customer_id, state, entry.at_ms, reason="order", cause=cause, pending=opened)]


def _refold(
    customer_id: str,
    state: CustomerState,
    before: list[Entry],
    after: list[Entry],
    watermark_ms: int,
    rules: Rules,
) -> list[Moment]:
    """Replace the ledger, keep settled snapshots with their labels adjusted, and retake the provisional moments."""
    effects = ledger.effects(after)
    old = _dated(before, ledger.effects(before))
    new = _dated(after, effects)
    _drop_provisional(state, watermark_ms)
    for pending in state.pending:
        window = (pending.at_ms, pending.at_ms + rules.horizon_ms)
        pending.value_minor += value_between(new, *window) - value_between(old, *window)
    state.ledger = ledger.pack(after)
    state.latest_ms = max(state.latest_ms, after[-1].at_ms)
    state.totals = state.base.copy() if state.base else Totals()
    moments = _walk(customer_id, state, list(zip(after, effects, strict=True)), watermark_ms, rules)
    for moment in moments:
        opened = moment.pending
        if opened is not None:
            opened.value_minor = value_between(new, opened.at_ms, opened.at_ms + rules.horizon_ms)
    return moments


def _walk(
    customer_id: str,
    state: CustomerState,
    steps: list[tuple[Entry, Effect]],
    watermark_ms: int,
    rules: Rules,
) -> list[Moment]:
    """Fold entries into ``state.totals`` and take the moments at or after the watermark on the way."""
    moments: list[Moment] = []
    for at_ms, instant in groupby(steps, key=lambda step: step[0].at_ms):
        if state.totals.order_count:
            skip_silences(state, min(watermark_ms, at_ms))
            moments += take_silences(customer_id, state, at_ms, rules)
        orders_before = state.totals.order_count
        for entry, effect in instant:
            state.totals.fold(entry, effect.refunded_minor)
        if state.totals.order_count == orders_before:
            continue
        state.silence_step = 0
        pending = None
        if at_ms >= watermark_ms:
            pending = snapshot(state, at_ms, is_silence=False, horizon_ms=rules.horizon_ms)
        if pending:
            cause = f"order:{at_ms}"
            moments.append(moment_at(customer_id, state, at_ms, reason="order", cause=cause, pending=pending))
    skip_silences(state, watermark_ms)
    return moments


def _drop_provisional(state: CustomerState, watermark_ms: int) -> None:
    for place, pending in enumerate(state.pending):
        if pending.at_ms >= watermark_ms:
            state.last_snapshot_ms = pending.previous_ms
            del state.pending[place:]
            return


def _dated(entries: list[Entry], effects: list[Effect]) -> list[tuple[int, int]]:
    return [(entry.at_ms, effect.net_minor) for entry, effect in zip(entries, effects, strict=True)]


def _entry(event: Happening) -> Entry:
    if isinstance(event, OrderPlaced):
        return Entry(
            event.occurred_ms,
            ledger.ORDER,
            fingerprint("order", event.order_id),
            fingerprint("event", event.event_id),
            event.total_minor,
        )
    if isinstance(event, OrderRefunded):
        ref = fingerprint("order", event.order_id) if event.order_id else NO_REF
        return Entry(event.occurred_ms, ledger.REFUND, fingerprint("refund", event.refund_id), ref, event.amount_minor)
    return Entry(event.occurred_ms, EMAIL_KINDS[event.action], fingerprint("email", event.event_id), NO_REF, 0)


def _attribute(state: CustomerState, event: Happening) -> None:
    """Keep dated attributes: the earliest acquisition, and when each category was first seen (the 64 earliest)."""
    if not isinstance(event, OrderPlaced):
        return
    at = event.occurred_ms
    for category in event.categories:
        key = fingerprint("category", category)
        known = state.categories.get(key)
        if known is None or at < known:
            state.categories[key] = at
    if len(state.categories) > MAX_CATEGORIES:
        earliest = sorted(state.categories.items(), key=lambda item: (item[1], item[0]))[:MAX_CATEGORIES]
        state.categories = dict(earliest)
    if not event.source and not event.campaign_type and event.acquisition_cost_minor < 0:
        return
    offered = (at, event.source, event.campaign_type, event.acquisition_cost_minor)
    held = (state.acquired_ms, state.source, state.campaign_type, state.acquisition_cost_minor)
    if state.acquired_ms < 0 or offered < held:
        state.acquired_ms, state.source, state.campaign_type, state.acquisition_cost_minor = offered


def _prune(state: CustomerState, forget_before_ms: int) -> None:
    """Fold away what is older than the window, or too much, so that the ledger stays bounded."""
    entries = state.ledger
    if not entries:
        return
    is_full = ledger.length(entries) > ledger.MAX_ENTRIES
    if not is_full and ledger.first_ms(entries) >= forget_before_ms:
        return
    unpacked = ledger.unpack(entries)
    effects = ledger.effects(unpacked)
    count = max(sum(1 for e in unpacked if e.at_ms < forget_before_ms), ledger.MAX_ENTRIES // 4 if is_full else 0)
    # Entries of one instant go together: an event at or before ``pruned_ms`` is refused.
    while count < len(unpacked) and unpacked[count].at_ms == unpacked[count - 1].at_ms:
        count += 1
    state.base = state.base or Totals()
    for entry, effect in zip(unpacked[:count], effects[:count], strict=True):
        state.base.fold(entry, effect.refunded_minor)
    state.pruned_ms = unpacked[count - 1].at_ms
    state.ledger = ledger.pack(
        sorted(
            [
                *_waiting_refunds(unpacked[:count], unpacked[count:]),
                *_cut_loose(unpacked[:count], unpacked[count:], effects[count:]),
            ]
        )
    )


def _waiting_refunds(gone: list[Entry], kept: list[Entry]) -> list[Entry]:
    """Keep refunds dated before an order that stays: they count when the order does, so they are dated so."""
    placed = {e.id: e.at_ms for e in kept if e.kind == ledger.ORDER}
    return [e._replace(at_ms=placed[e.ref]) for e in gone if e.kind == ledger.REFUND and e.ref in placed]


def _cut_loose(gone: list[Entry], kept: list[Entry], effects: list[Effect]) -> list[Entry]:
    """Fix what refunds took of orders that leave the ledger: they stand alone from now on."""
    orders = {e.id for e in gone if e.kind == ledger.ORDER}
    return [
        e._replace(ref=NO_REF, amount_minor=effect.refunded_minor) if e.kind == ledger.REFUND and e.ref in orders else e
        for e, effect in zip(kept, effects, strict=True)
    ]


def totals_at(state: CustomerState, as_of_ms: int) -> Totals:
    """Return a customer's totals as they were at a moment, from the ledger; nothing later is in them."""
    if state.latest_ms <= as_of_ms:
        return state.totals.copy()
    entries = [e for e in ledger.unpack(state.ledger) if e.at_ms <= as_of_ms]
    totals = state.base.copy() if state.base else Totals()
    for entry, effect in zip(entries, ledger.effects(entries), strict=True):
        totals.fold(entry, effect.refunded_minor)
    return totals
