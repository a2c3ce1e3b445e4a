"""Measured figures that ``clv plan`` reckons with, each with the file under docs/performance that it comes from.

A test holds them to those files. Measuring anew: ``clv bench``, then the new file's name and figures here.
"""

from __future__ import annotations

from typing import NamedTuple

from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES

_SCALE = "2026-11-27-scale.json"
_GROWTH = "2026-11-27-growth.json"
_MEMORY = "2026-11-27-memory.json"
_RECOVERY = "2026-11-27-recovery.json"
_AUDIENCES = "2026-11-27-audiences.json"
_API = "2026-11-27-api-postgresql.json"
_LEARNER = "2026-11-28-learner.json"
_DISK = "2026-11-28-memory.json"
_SIZE = "2026-11-28-size.json"


class Figure(NamedTuple):
    """A measured number, its file, and where it stands in there."""

    value: float
    unit: str
    file: str
    path: tuple[str | int, ...]

    @property
    def said(self) -> str:
        """The number with its unit and source.

        Examples
        --------
        >>> CPU_US.said
        '89.44 µs (2026-11-27-scale.json)'
        """
        return f"{self.value:,} {self.unit} ({self.file})"


def _sized(value: float, unit: str, *path: str | int) -> Figure:
    return Figure(value, unit, _SIZE, ("shops", 0, *path))


MOST_WORKERS = 4
"""Workers that were measured together."""
CPU_US = Figure(89.44, "µs", _SCALE, ("workers", str(MOST_WORKERS), "cpu_us_per_event"))
"""Processor time of a worker's whole way, four workers together: the most that was seen."""
BROKER_ORDERS = Figure(17200.5, "orders/s", _SCALE, ("workers", "2", "events_per_s"))
"""The most that one broker was seen to carry, beside the workers on its two cores."""
HISTORY_CPU = {
    orders: Figure(value, "µs", _GROWTH, ("cpu_us_per_order", "history", str(orders)))
    for orders, value in {1: 54.94, 4: 53.25, 16: 51.53, 64: 61.64, 256: 65.31, 1024: 110.15}.items()
}
"""The pipeline's alone, by orders that a customer has in its ledger."""
MOST_PARTITIONS = 16
PARTITIONS_CPU = Figure(76.32, "µs", _GROWTH, ("cpu_us_per_order", "partitions", str(MOST_PARTITIONS)))
"""With the most partitions that were measured."""

ROW_ORDERS, ROW_LABELS = 4, 2
"""Orders and open labels of the customers whose memory and changelog were measured."""
LABEL_BYTES = 177
"""Of an open label in a row: docs/performance.md."""
EMPTY_MB = {
    "memory": Figure(297.9, "MiB", _MEMORY, ("empty_mb", "memory")),
    "rocksdb": Figure(305.7, "MiB", _MEMORY, ("empty_mb", "rocksdb")),
}
CUSTOMER_MEMORY = {
    "memory": {
        1_000_000: Figure(817.4, "bytes", _MEMORY, ("stores", "memory", "1000000", "bytes_per_customer")),
    },
    "rocksdb": {
        size: Figure(value, "bytes", _MEMORY, ("stores", "rocksdb", str(size), "bytes_per_customer"))
        for size, value in {100_000: 860.7, 300_000: 781.6, 1_000_000: 372.0}.items()
    },
}
"""What a customer takes beyond an empty worker, by customers. In memory it is a proportion: the largest counts."""
START_SECONDS = {
    "memory": Figure(8.38, "s", _RECOVERY, ("starts", "memory_cold", "all_s")),
    "rocksdb": Figure(11.76, "s", _RECOVERY, ("starts", "rocksdb_cold", "all_s")),
}
"""With a million customers and nothing local."""
STARTED_CUSTOMERS = Figure(1_000_000, "customers", _RECOVERY, ("customers",))
CHANGELOG_BYTES = Figure(669.0, "bytes", _RECOVERY, ("changelog_bytes_per_customer",))

LEARNED_PER_SECOND = Figure(1818.2, "examples/s", _LEARNER, ("learner", "per_s"))
SINK_RECORDS = {
    "sqlite": Figure(19868.0, "records/s", "2026-11-27-sink-sqlite.json", ("records", "per_s")),
    "postgresql": Figure(5825.1, "records/s", "2026-11-28-sink-postgresql.json", ("records", "per_s")),
}
"""Of one sink."""
AUDIENCE_SECONDS = Figure(198.99, "s", _AUDIENCES, ("synchronisations", "some_changed", "seconds"))
"""Of one synchronisation with a million customers, a hundredth changed."""
AUDIENCE_CUSTOMERS = Figure(1_000_000, "customers", _AUDIENCES, ("customers",))
API_CUSTOMERS = Figure(1_000_000, "customers", _API, ("customers",))

RECORD_BYTES = {
    ORDERS: _sized(266.2, "bytes", "topics", ORDERS, "bytes_per_record"),
    SCORES: _sized(1159.2, "bytes", "topics", SCORES, "bytes_per_record"),
    SEGMENT_CHANGES: _sized(716.2, "bytes", "topics", SEGMENT_CHANGES, "bytes_per_record"),
    TRAINING_EXAMPLES: _sized(899.5, "bytes", "topics", TRAINING_EXAMPLES, "bytes_per_record"),
    "changelog": _sized(717.4, "bytes", "topics", "changelog", "bytes_per_record"),
}
"""In a broker's log: headers and batches included, not compressed."""
SCORES_SEEN = _sized(36331, "records", "topics", SCORES, "records")
CHANGES_SEEN = _sized(9213, "records", "topics", SEGMENT_CHANGES, "records")
CHANGES_PER_SCORE = CHANGES_SEEN.value / SCORES_SEEN.value
ROCKSDB_BYTES = Figure(673.9, "bytes", _DISK, ("rocksdb_disk_bytes_per_customer", "200000"))
"""On a worker's disk after a start, a customer."""
ARTIFACT_BYTES = _sized(67850, "bytes", "sql", "sqlite", "artifact_bytes")
"""Of one publication of models."""
SQL_BYTES = {
    store: {
        table: _sized(value, "bytes", "sql", store, "tables", table, "bytes_per_row") for table, value in of.items()
    }
    for store, of in {
        "sqlite": {
            "customers": 525.8,
            "scores": 474.8,
            "segment_changes": 425.5,
            "training_examples": 515.5,
            "customer_states": 877.6,
        },
        "postgresql": {
            "customers": 747.0,
            "scores": 583.3,
            "segment_changes": 540.6,
            "training_examples": 599.1,
            "customer_states": 873.4,
        },
    }.items()
}
"""Of a row with its indexes, without what updates leave behind."""
QUANTILES_US = {
    "sqlite": _sized(2.068, "µs", "sql", "sqlite", "quantiles_us_per_customer"),
    "postgresql": _sized(1.164, "µs", "sql", "postgresql", "quantiles_us_per_customer"),
}
"""Of the query for segment cut-offs, a customer."""

ROLE_MIB = {"trainer": 669, "sink": 437, "api": 283, "ads": 208}
"""The most memory that each role took in a demo: docs/deployment.md."""
