"""What is asked of a deployment, and what that means for one customer, order and worker: formulas of ``clv plan``.

The figures that they reckon with are in ``clv.measured``; the plan is put together in ``clv.capacity``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clv import measured
from clv.errors import InputError
from clv.ledger import ENTRY_BYTES, MAX_ENTRIES
from clv.rules import MAX_PENDING, SILENCE_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_SECONDS = 86_400
STORES, DATABASES = ("memory", "rocksdb"), ("postgresql", "sqlite")
MOST_CUSTOMERS, MOST_ORDERS_PER_SECOND = 100_000_000, 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a month of each costs, in any one currency; 0 where not given."""

    vcpu_hour: float = 0.0
    memory_gb_month: float = 0.0
    disk_gb_month: float = 0.0

    @property
    def are_given(self) -> bool:
        """Whether there is anything to reckon a cost from."""
        return max(self.vcpu_hour, self.memory_gb_month, self.disk_gb_month) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a deployment.

    Parameters
    ----------
    customers
        All that were ever seen: their rows stay.
    orders_per_second, peak
        On average, and how many times that at the busiest.
    orders_per_customer
        That a ledger holds; what the rate gives within the duplicate window if 0.
    horizon_days, window_days
        Of a CLV, and of the memory of duplicates.
    retention_days
        Of topics of cleanup *delete*, and of the history in SQL.
    busy_share
        Of a core, at most, at the peak: the rest is headroom.
    open_days
        Event-days since the first order: some silences have not come yet, some labels not matured.
    worker_gb, start_seconds
        Most memory of a worker, and longest start with nothing local: either may ask for more workers.
    """

    customers: int
    orders_per_second: float
    peak: float = 3.0
    orders_per_customer: float = 0.0
    horizon_days: int = 90
    window_days: int = 800
    retention_days: int = 365
    store: str = "memory"
    database: str = "postgresql"
    replication: int = 3
    busy_share: float = 0.6
    open_days: float = math.inf
    worker_gb: float = 8.0
    start_seconds: float = 60.0
    prices: Prices = Prices()

    @property
    def gap_days(self) -> float:
        """Mean days between a customer's orders."""
        return self.customers / (self.orders_per_second * DAY_SECONDS)

    @property
    def ledger_entries(self) -> float:
        """Orders that a customer's ledger holds, before the bound of its entries."""
        return self.orders_per_customer or max(min(self.window_days, self.open_days) / self.gap_days, 1.0)


def silences_per_order(gap_days: float, observed_days: float = math.inf) -> float:
    """Return how many silences follow an order, and so scores without any event.

    Customers are taken to order at random (a Poisson process): a gap is longer than *d* days with probability
    exp(−d ÷ mean gap).

    Parameters
    ----------
    gap_days
        Mean days between a customer's orders.
    observed_days
        Days since the shop opened: a silence that ends later has not been scored.

    Examples
    --------
    >>> round(silences_per_order(80), 2), round(silences_per_order(80, 320), 2)
    (1.64, 1.29)
    """
    return sum(_share_seen(days, observed_days) * math.exp(-days / gap_days) for days in SILENCE_DAYS)


def examples_per_order(gap_days: float, horizon_days: int, observed_days: float = math.inf) -> float:
    """Return how many labels mature for each order.

    Every silence is a snapshot, for the last one lies at least 30 days before it; an order is one where nothing was
    in the 30 days before. At most four labels of a customer are open at once.

    Notes
    -----
    With *x* = 30 ÷ mean gap: after a snapshot an order comes within 30 days with probability 1 − exp(−x), and then the
    next snapshot is an order, and no silence, with probability 1 − x exp(−x) ÷ (1 − exp(−x)). So all snapshots are
    those that need no such run (silences, and orders after a long pause) divided by exp(−x) (1 + x).

    Examples
    --------
    >>> round(examples_per_order(80, 90), 2), round(examples_per_order(1, 90), 3)
    (1.92, 0.032)
    """
    spacing = SILENCE_DAYS[0]
    x = spacing / gap_days
    # Both sums are exp(x) times what they say, so that a short gap leaves something to divide.
    silent = sum(
        _share_seen(days + horizon_days, observed_days) * math.exp((spacing - days) / gap_days) for days in SILENCE_DAYS
    )
    paused = sum(
        math.exp(-days / gap_days) - math.exp((spacing - end) / gap_days)
        for days, end in zip(SILENCE_DAYS, (*SILENCE_DAYS[1:], math.inf), strict=True)
        if end > days + spacing
    )
    taken = (silent + paused * _share_seen(horizon_days, observed_days)) / (1 + x)
    ordered = taken - silent * math.exp(-x)
    first = (1 - ordered) * gap_days / observed_days * _share_seen(horizon_days + gap_days, observed_days)
    return min(taken + first, MAX_PENDING * gap_days / horizon_days)


def _share_seen(days: float, observed_days: float) -> float:
    return max(0.0, 1 - days / observed_days)


def row_growth_bytes(demand: Demand) -> float:
    """Return what a customer's row has more than one of four orders and two open labels, which was measured."""
    entries = min(demand.ledger_entries, MAX_ENTRIES) - measured.ROW_ORDERS
    examples = examples_per_order(demand.gap_days, demand.horizon_days)  # as often as they mature, they are opened
    open_labels = min(MAX_PENDING, examples * demand.horizon_days / demand.gap_days)
    return ENTRY_BYTES * entries + measured.LABEL_BYTES * (open_labels - measured.ROW_LABELS)


def memory_bytes(store: str, customers: float, growth_bytes: float = 0.0) -> float:
    """Return what a worker's process holds with so many customers.

    Parameters
    ----------
    store
        ``memory``: in proportion. ``rocksdb``: between measured sizes in a straight line, beyond them in proportion.
    growth_bytes
        What a row has more than the measured ones; counts in memory alone.

    Examples
    --------
    >>> round(memory_bytes("memory", 300_000) / 2**20), round(memory_bytes("rocksdb", 600_000) / 2**20)
    (532, 586)
    """
    empty = measured.EMPTY_MB[store].value * 2**20
    points = [(size, figure.value) for size, figure in measured.CUSTOMER_MEMORY[store].items()]
    largest, each = points[-1]
    if store == "memory" or customers >= largest:
        return empty + customers * max(each + (growth_bytes if store == "memory" else 0.0), 0.0)
    return empty + interpolated(customers, [(0.0, 0.0), *((size, size * figure) for size, figure in points)])


def interpolated(at: float, points: Sequence[tuple[float, float]]) -> float:
    """Return a value between points in straight lines, and beyond the ends along the outermost ones.

    Examples
    --------
    >>> interpolated(15.0, [(0.0, 0.0), (10.0, 1.0), (20.0, 3.0)]), interpolated(30.0, [(0.0, 0.0), (10.0, 1.0)])
    (2.0, 3.0)
    """
    right = next((place for place, (x, _) in enumerate(points) if x >= at), len(points) - 1)
    right = max(right, 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)


def order_cpu_us(entries: float) -> float:
    """Return a worker's processor time an order: as measured over Kafka, and what a longer history adds to it."""
    points = [(float(orders), figure.value) for orders, figure in measured.HISTORY_CPU.items()]
    shortest = min(figure for _, figure in points)
    return measured.CPU_US.value + max(0.0, interpolated(min(entries, MAX_ENTRIES), points) - shortest)


def check(demand: Demand) -> None:
    """Refuse what is impossible, or beyond what the plan reckons with.

    Raises
    ------
    InputError
        With the option that is wrong.
    """
    bounds = {
        "--customers": (demand.customers, 1, MOST_CUSTOMERS),
        "--orders-per-second": (demand.orders_per_second, 1e-6, MOST_ORDERS_PER_SECOND),
        "--peak": (demand.peak, 1, 100),
        "--orders-per-customer": (demand.orders_per_customer or 1, 1, 1e6),
        "--horizon": (demand.horizon_days, 1, 730),
        "--duplicate-window": (demand.window_days, 1, 10_000),
        "--retention": (demand.retention_days, 1, 10_000),
        "--replication": (demand.replication, 1, 9),
        "--busy": (demand.busy_share, 0.05, 1),
        "--worker-memory": (demand.worker_gb, 0.5, 4_096),
        "--start": (demand.start_seconds, 1, 86_400),
    }
    for option, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise InputError(f"{option} is {value:,g}", f"between {least:,.10g} and {most:,.10g}")
    for option, name, known in (("--store", demand.store, STORES), ("--database", demand.database, DATABASES)):
        if name not in known:
            raise InputError(f"{option} is {name!r}", f"one of: {', '.join(known)}")
    prices = demand.prices
    for option, price in (
        ("--price-vcpu-hour", prices.vcpu_hour),
        ("--price-memory-gb-month", prices.memory_gb_month),
        ("--price-disk-gb-month", prices.disk_gb_month),
    ):
        if not 0 <= price < math.inf:
            raise InputError(f"{option} is {price:g}", "a price is 0 or more")
