"""Which parts of a plan break first, and what would replace them: bounds, and where measurements end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clv import measured
from clv.ledger import MAX_ENTRIES
from clv.topics import SCORES

if TYPE_CHECKING:
    from clv.capacity import Lines
    from clv.demand import Demand

_WINDOW_SECONDS = 3_600.0  # CLV_ADS_WINDOW's default
_QUERY_SECONDS = 60.0
_GROWN_ORDERS = max(measured.HISTORY_CPU)
NOT_MEASURED = (
    "what a PostgreSQL server or a Kafka broker carries: only what one sink and one to four workers ask of them",
    "back-up, restore, refill and rebuilding at this size; TLS; compression; networks",
    "machines other than two shared cores",
)


class Limit(NamedTuple):
    """How much of a part a plan needs, and how much it holds.

    ``is_bound`` tells a bound from the end of what was measured: beyond a bound it does not work, beyond a measurement
    nobody has looked. ``instead`` says what replaces the part, and whether that is built.
    """

    part: str
    needs: float
    holds: float
    unit: str
    is_bound: bool
    why: str
    instead: str

    @property
    def factor(self) -> float:
        """How many times the planned load it holds."""
        return self.holds / self.needs if self.needs else float("inf")

    @property
    def is_passed(self) -> bool:
        """Whether the plan asks for more."""
        return self.needs > self.holds


def limits(lines: Lines, demand: Demand) -> list[Limit]:
    """Return every part's limit, the narrowest first, bounds before ends of measurement.

    Examples
    --------
    >>> from clv.capacity import plan
    >>> from clv.demand import Demand
    >>> demand = Demand(customers=100_000_000, orders_per_second=100_000.0)
    >>> limits(plan(demand), demand)[0].part
    'orders in a ledger'
    """
    found = [*_bounds(lines, demand), *_ends(lines, demand)]
    return sorted(found, key=lambda each: (not each.is_bound, each.factor))


def _bounds(lines: Lines, it: Demand) -> list[Limit]:
    millions = it.customers / measured.AUDIENCE_CUSTOMERS.value
    found = [
        Limit(
            *("trainer", lines["learned"].value, measured.LEARNED_PER_SECOND.value * it.busy_share, "examples/s", True),
            f"one process; a replay asks for more at once: {measured.LEARNED_PER_SECOND.said} × {it.busy_share:.0%}",
            "not built: learning in blocks, or from a sample of the customers",
        ),
        Limit(
            *("orders in a ledger", it.ledger_entries, MAX_ENTRIES, "orders", True),
            "beyond it the oldest are folded, and their ids no longer known",
            "built: a shorter CLV_DUPLICATE_WINDOW_DAYS; not built: a row that is not written whole at each order",
        ),
        Limit(
            *("query for cut-offs", it.customers * measured.QUANTILES_US[it.database].value / 1e6, _QUERY_SECONDS),
            *("s", True),
            f"{measured.QUANTILES_US[it.database].said} a customer; the trainer learns nothing meanwhile, "
            "a minute a week is chosen as bound",
            "built: fixed CLV_SEGMENT_CUTOFFS; not built: percentiles from a sketch kept beside the sums",
        ),
        Limit(
            *("audiences", measured.AUDIENCE_SECONDS.value * millions, _WINDOW_SECONDS, "s", True),
            f"one process, once a window of an hour: {measured.AUDIENCE_SECONDS.said} a million, 1 % changed",
            "built: a longer CLV_ADS_WINDOW; not built: looking only at who has changed",
        ),
    ]
    if it.database == "sqlite":
        one = measured.SINK_RECORDS["sqlite"]
        found.append(
            Limit(
                *("sink on SQLite", lines["records"].value, one.value * it.busy_share, "records/s", True),
                f"one writer: {one.said} × {it.busy_share:.0%}",
                "built: PostgreSQL, and several sinks",
            )
        )
    return found


def _ends(lines: Lines, it: Demand) -> list[Limit]:
    found = [
        Limit(
            *("workers together", lines["workers"].value, measured.MOST_WORKERS, "workers", False),
            f"four were measured ({measured.CPU_US.file})",
            "built: one worker a partition; a core in a compiled language (decision 0013) is not",
        ),
        Limit(
            *("models to workers", lines["workers"].value, measured.MOST_WORKERS, "workers", False),
            "clv.models.v1 has one partition, and each worker loads each publication from SQL: "
            f"{lines['workers'].value * measured.ARTIFACT_BYTES.value / 1e6:,.1f} MB",
            "not built: artifacts from an object store",
        ),
        Limit(
            *("partitions", lines["partitions"].value, measured.MOST_PARTITIONS, "partitions", False),
            f"up to {measured.MOST_PARTITIONS} in one pipeline ({measured.PARTITIONS_CPU.file})",
            "built: more partitions; their number cannot be changed later",
        ),
        Limit(
            *("customers of a worker", it.customers / lines["workers"].value, measured.STARTED_CUSTOMERS.value),
            *("customers", False),
            f"a million were measured ({measured.STARTED_CUSTOMERS.file})",
            "built: more workers (--worker-memory, --start)",
        ),
        Limit(
            *("API and customers in SQL", it.customers, measured.API_CUSTOMERS.value, "customers", False),
            f"a million were measured ({measured.API_CUSTOMERS.file})",
            "not tried: read replicas, more than one API; not built: tables split by partition",
        ),
        Limit(
            *("cost of history", it.ledger_entries, _GROWN_ORDERS, "orders", False),
            f"up to {_GROWN_ORDERS:,} orders of a customer ({measured.HISTORY_CPU[_GROWN_ORDERS].file})",
            "built: a shorter CLV_DUPLICATE_WINDOW_DAYS",
        ),
    ]
    broker = measured.BROKER_ORDERS
    taken = broker.value * (measured.RECORD_BYTES[SCORES].value + measured.RECORD_BYTES["changelog"].value) / 1e6
    found.append(
        Limit(
            *("writes of one broker", lines["broker_in"].value, taken, "MB/s", False),
            f"one broker took score and row of {broker.said} beside two workers",
            "built: more brokers, which share the partitions; not built: rows that are not written whole at each order",
        )
    )
    if it.database == "postgresql":
        found.append(
            Limit(
                *("sinks on PostgreSQL", lines["sinks"].value, 1, "sinks", False),
                f"one was measured ({measured.SINK_RECORDS['postgresql'].file}); with rows of few orders; "
                "how far a server takes more is open",
                "built: a sink a partition, and CLV_TABLE_RETENTION; not built: history tables split by day, "
                "or in a column store that reads clv.scores.v1 itself",
            )
        )
    return found
