"""Windows of customers' pasts: what was known at a day's end, and what was bought from then until now, so far.

A window is younger than a label: it need not have lasted a whole horizon, so that what is learnt from it is as new as
the orders themselves. Windows are read off the ledgers of states; nothing later than the present moment is in them.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clv import ledger
from clv.features import FEATURE_NAMES
from clv.ledger import ORDER
from clv.moments import features_at
from clv.rules import DAY_MS
from clv.totals import Totals

if TYPE_CHECKING:
    from clv.ports import Floats, Ints
    from clv.rules import Rules
    from clv.state import CustomerState

ANNIVERSARY_DAYS = (30, 60, 90, 180, 270, 365, 545, 730)
"""Days after the first purchase at which a window begins, whatever the customer did: silence must be seen too."""
LONGEST_BACK_DAYS = 360
SHORTEST_DAYS = 14
MAX_WINDOWS = 150_000


class Window(NamedTuple):
    """A customer at a day's end: features as of ``as_of_ms``, and the net value of the ``span_days`` after it."""

    as_of_ms: int
    features: tuple[float, ...]
    span_days: int
    value_minor: int


def windows_of(state: CustomerState, now_ms: int, rules: Rules) -> list[Window]:
    """Return a customer's windows, oldest first: they begin at the ends of purchase days and at anniversaries.

    Parameters
    ----------
    state
        Its ledger says what happened when; what lies in ``base`` is too old for a window.
    now_ms
        Nothing that happened later is looked at.
    rules
        A window ends after a horizon, or now.

    Notes
    -----
    One pass over the ledger, and some 5 µs a window.
    """
    entries = [entry for entry in ledger.unpack(state.ledger) if entry.at_ms <= now_ms]
    effects = ledger.effects(entries)
    today = (now_ms + 1) // DAY_MS
    beginnings = _beginnings(state, entries, today, rules)
    if not beginnings:
        return []
    times = [entry.at_ms for entry in entries]
    sums = [0, *accumulate(effect.net_minor for effect in effects)]
    totals = state.base.copy() if state.base else Totals()
    found: list[Window] = []
    place = 0
    for day in beginnings:
        as_of_ms = (day + 1) * DAY_MS - 1
        until = bisect_right(times, as_of_ms)
        for entry, effect in zip(entries[place:until], effects[place:until], strict=True):
            totals.fold(entry, effect.refunded_minor)
        place = until
        span_days = min(today - day - 1, rules.horizon_days)
        end = bisect_right(times, as_of_ms + span_days * DAY_MS)
        found.append(Window(as_of_ms, features_at(state, as_of_ms, totals), span_days, max(sums[end] - sums[until], 0)))
    return found


def _beginnings(state: CustomerState, entries: list[ledger.Entry], today: int, rules: Rules) -> list[int]:
    shortest = min(SHORTEST_DAYS, rules.horizon_days)
    earliest = max(today - LONGEST_BACK_DAYS, (state.pruned_ms + DAY_MS) // DAY_MS)
    days = {entry.at_ms // DAY_MS for entry in entries if entry.kind == ORDER and entry.amount_minor > 0}
    first = min(days, default=-1)
    if state.base is not None and state.base.purchase_day_count:
        first = state.base.first_purchase_day
    if first < 0:
        return []
    days.update(first + later for later in ANNIVERSARY_DAYS)
    return sorted(day for day in days if earliest <= day <= today - 1 - shortest)


class Windows(NamedTuple):
    """n windows of many customers: features (n, len(FEATURE_NAMES)) and arrays of shape (n,).

    ``customer`` is the same number for the windows of one customer, and says nothing else.
    """

    features: Floats
    as_of_ms: Ints
    span_days: Floats
    value_minor: Floats
    customer: Ints


class WindowSample:
    """Windows of some of many customers, in bounded memory: of those whose ids have the smallest hashes.

    Which customers is a function of their ids and numbers of windows alone, not of the order in which they come.
    """

    def __init__(self, limit: int = MAX_WINDOWS) -> None:
        self._limit = limit
        self._threshold = b"\xff" * 9
        self._held: dict[bytes, Floats] = {}
        self._count = 0

    def add(self, customer_id: str, state: CustomerState, now_ms: int, rules: Rules) -> None:
        """Take a customer's windows into the sample, unless it is full of customers with smaller hashes."""
        rank = hashlib.blake2b(customer_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if rank >= self._threshold:
            return
        windows = windows_of(state, now_ms, rules)
        if windows:
            self._held[rank] = np.array([(*w.features, w.as_of_ms, w.span_days, w.value_minor) for w in windows])
            self._count += len(windows)
        if self._count > 2 * self._limit:
            self._shrink()

    def windows(self) -> Windows:
        """Return the windows sampled so far, customer by customer, each customer's oldest first."""
        if self._count > self._limit:
            self._shrink()
        ranks = sorted(self._held)
        parts = [self._held[rank] for rank in ranks] or [np.empty((0, len(FEATURE_NAMES) + 3))]
        rows = np.concatenate(parts)
        return Windows(
            np.ascontiguousarray(rows[:, :-3]),
            rows[:, -3].astype(np.int64),
            rows[:, -2].copy(),
            rows[:, -1].copy(),
            np.repeat(np.arange(len(ranks)), [len(self._held[rank]) for rank in ranks]).astype(np.int64),
        )

    def _shrink(self) -> None:
        kept = 0
        for rank in sorted(self._held):
            kept += len(self._held[rank])
            if kept > self._limit:
                self._threshold = min(self._threshold, rank)
                break
        for rank in [rank for rank in self._held if rank >= self._threshold]:
            self._count -= len(self._held.pop(rank))
