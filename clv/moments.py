"""Moments at which a customer is scored, and which of them become training snapshots with a label to come.

A moment lies at an order, or at a silence of so many days after the last one. Its features hold what happened at or
before it and nothing else. Moments not yet behind the watermark are provisional: an event out of order retakes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clv.features import CODES, code_of
from clv.outcomes import Reason
from clv.rules import DAY_MS, MAX_PENDING, SILENCE_DAYS, SNAPSHOT_SPACING_MS
from clv.state import NEVER_MS, CustomerState, Pending
from clv.totals import Attributes, Totals, extract

if TYPE_CHECKING:
    from clv.rules import Rules


_NOTHING_KNOWN = Attributes()


class Moment(msgspec.Struct):
    """A request to score: features as of a moment; ``is_emitted`` says whether the score goes out.

    ``pending`` is the snapshot to fill with the score, if this moment is one; totals and attributes are copies, since
    later records of the same batch change the state before it is scored.
    """

    customer_id: str
    state: CustomerState
    as_of_ms: int
    features: tuple[float, ...]
    reason: Reason
    cause: str
    is_emitted: bool
    pending: Pending | None
    totals: Totals
    source: str
    campaign_type: str


def moment_at(
    customer_id: str, state: CustomerState, as_of_ms: int, *, reason: Reason, cause: str, pending: Pending | None
) -> Moment:
    """Take the customer as it stands, with its features; not to be emitted unless the caller says so."""
    return Moment(
        customer_id,
        state,
        as_of_ms,
        features_at(state, as_of_ms),
        reason,
        cause,
        is_emitted=False,
        pending=pending,
        totals=state.totals.copy(),
        source=state.source,
        campaign_type=state.campaign_type,
    )


def features_at(state: CustomerState, as_of_ms: int, totals: Totals | None = None) -> tuple[float, ...]:
    """Return the feature vector of totals folded up to ``as_of_ms`` and the attributes dated at or before it.

    ``totals`` are the state's own unless others are given, as for a moment long past.
    """
    return extract(totals or state.totals, as_of_ms, attributes_at(state, as_of_ms))


def attributes_at(state: CustomerState, as_of_ms: int) -> Attributes:
    """Return what was known of the customer at a moment, beside its totals."""
    if not state.categories and state.acquired_ms < 0:
        return _NOTHING_KNOWN
    seen = [(first_ms, key) for key, first_ms in state.categories.items() if first_ms <= as_of_ms]
    category_code = min(seen)[1] % (CODES - 1) + 1 if seen else 0
    if not 0 <= state.acquired_ms <= as_of_ms:
        return Attributes(category_count=len(seen), category_code=category_code)
    return Attributes(
        len(seen),
        state.acquisition_cost_minor,
        code_of(state.source),
        code_of(state.campaign_type),
        category_code,
    )


def snapshot(state: CustomerState, at_ms: int, *, is_silence: bool, horizon_ms: int) -> Pending | None:
    """Open a label at this moment if the rule allows: the first order, then at most one in 30 days and four open."""
    if state.last_snapshot_ms >= 0:
        if at_ms - state.last_snapshot_ms < SNAPSHOT_SPACING_MS:
            return None
        if sum(1 for p in state.pending if p.at_ms + horizon_ms > at_ms) >= MAX_PENDING:
            return None
    pending = Pending(at_ms, state.last_snapshot_ms, is_silence)
    state.pending.append(pending)
    state.last_snapshot_ms = at_ms
    return pending


def next_silence_ms(state: CustomerState) -> int:
    """Return when the next silence moment lies; ``NEVER_MS`` where there is none."""
    if state.totals.order_count == 0 or state.silence_step >= len(SILENCE_DAYS):
        return NEVER_MS
    return state.totals.last_order_ms + SILENCE_DAYS[state.silence_step] * DAY_MS


def next_due_ms(state: CustomerState, rules: Rules) -> int:
    """Return when the customer's next timer is due: a silence moment, or a label that matures."""
    maturity = state.pending[0].at_ms + rules.horizon_ms if state.pending else NEVER_MS
    return min(maturity, next_silence_ms(state))


def skip_silences(state: CustomerState, before_ms: int) -> None:
    """Pass over silence moments that lie in settled time, where no snapshot may be taken any more."""
    while next_silence_ms(state) < before_ms:
        state.silence_step += 1


def take_silences(customer_id: str, state: CustomerState, before_ms: int, rules: Rules) -> list[Moment]:
    """Take the silence moments before an event that ends the silence: snapshots, not emitted."""
    taken = []
    while (at_ms := next_silence_ms(state)) < before_ms:
        moment = pass_silence(customer_id, state, at_ms, rules)
        if moment.pending:
            taken.append(moment)
    return taken


def pass_silence(customer_id: str, state: CustomerState, at_ms: int, rules: Rules) -> Moment:
    """Step over the next silence moment, which lies at ``at_ms``; not emitted unless the caller says so."""
    state.silence_step += 1
    pending = snapshot(state, at_ms, is_silence=True, horizon_ms=rules.horizon_ms)
    return moment_at(customer_id, state, at_ms, reason="silence", cause=f"silence:{at_ms}", pending=pending)


def add_value(state: CustomerState, at_ms: int, contribution_minor: int, horizon_ms: int) -> None:
    """Add what an event brought to every open label whose window (t, t + H] holds it."""
    for pending in state.pending:
        if pending.at_ms < at_ms <= pending.at_ms + horizon_ms:
            pending.value_minor += contribution_minor


def value_between(contributions: list[tuple[int, int]], after_ms: int, to_ms: int) -> int:
    """Return the net value of dated contributions in (after_ms, to_ms]."""
    return sum(value for at, value in contributions if after_ms < at <= to_ms)
