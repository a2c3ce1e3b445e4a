"""What a deployment of a given size needs, line by line, each with how it was reckoned: ``clv plan``.

The figures are in ``clv.measured``, the formulas in ``clv.demand``; what breaks first is in ``clv.breaking``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from clv import measured
from clv.demand import (
    DAY_SECONDS,
    check,
    examples_per_order,
    memory_bytes,
    order_cpu_us,
    row_growth_bytes,
    silences_per_order,
)
from clv.ledger import ENTRY_BYTES, MAX_ENTRIES
from clv.rules import MAX_PENDING
from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES

if TYPE_CHECKING:
    from clv.demand import Demand

HOUR_SECONDS, MONTH_HOURS = 3_600, 730
_DIRTY_TIMES = 2  # Kafka's default: a compacted log is cleaned once half of it is superseded
_SEGMENT_BYTES, _SEGMENT_DAYS = 2**30, 7  # Kafka's defaults: what is open in a partition, and not yet cleaned
_DEAD_TIMES = {"sqlite": 1.0, "postgresql": 1.2}  # PostgreSQL's default: vacuumed once a fifth of a table is dead
_LEAST_PARTITIONS = 4
_GB = 1e9


class Line(NamedTuple):
    """A figure of the plan: of which part, what, how much, and how it was reckoned."""

    part: str
    name: str
    value: float
    unit: str
    how: str


Lines = dict[str, Line]


def plan(demand: Demand) -> Lines:
    """Return the lines of a plan by name, in the order in which they are shown.

    Raises
    ------
    InputError
        When the demand is impossible, or beyond what the plan reckons with.

    Examples
    --------
    >>> from clv.demand import Demand
    >>> lines = plan(Demand(customers=1_000_000, orders_per_second=1.0))
    >>> lines["workers"].value, lines["partitions"].value
    (1, 4)
    """
    check(demand)
    lines: Lines = {}
    for add in (_add_rates, _add_workers, _add_trainer_and_sinks, _add_sql, _add_broker, _add_sums):
        add(lines, demand)
    return lines


def _add_rates(lines: Lines, it: Demand) -> None:
    gap, peak, part = it.gap_days, it.orders_per_second * it.peak, "load"
    lines["peak_orders"] = Line(part, "orders at the peak", peak, "/s", f"{it.orders_per_second:,g}/s × {it.peak:g}")
    lines["gap_days"] = Line(
        part, "between a customer's orders", gap, "days", f"{it.customers:,} customers ÷ orders a day"
    )
    said = "given" if it.orders_per_customer else f"{it.window_days} days of duplicate memory ÷ {gap:,.3g} days"
    bound = f", at most {MAX_ENTRIES:,}" if it.ledger_entries > MAX_ENTRIES else ""
    entries = min(it.ledger_entries, MAX_ENTRIES)
    lines["ledger_entries"] = Line(part, "orders in a customer's ledger", entries, "", said + bound)
    silences = silences_per_order(gap, it.open_days)
    how = "Σ exp(−days ÷ gap) over the days of silence: customers order at random"
    lines["silences"] = Line(part, "scores by silence alone", silences, "an order", how)
    how = "one an order, and those by silence at the average rate"
    lines["scores"] = Line(part, "scores at the peak", peak + it.orders_per_second * silences, "/s", how)
    how = f"silences, and orders 30 days after the last; at most {MAX_PENDING} open in {it.horizon_days} days"
    examples = examples_per_order(gap, it.horizon_days, it.open_days)
    lines["examples"] = Line(part, "labels that mature", examples, "an order", how)


def _add_workers(lines: Lines, it: Demand) -> None:
    growth, part = row_growth_bytes(it), "workers"
    empty = measured.EMPTY_MB[it.store]
    cpu = order_cpu_us(it.ledger_entries)
    how = f"{measured.CPU_US.said}, and what history adds ({measured.HISTORY_CPU[1].file})"
    lines["order_cpu"] = Line(part, "processor time an order", cpu, "µs", how)
    rate = lines["scores"].value
    by_rate = math.ceil(rate * cpu / 1e6 / it.busy_share)
    how = f"{rate:,.0f} scores/s × {cpu:.1f} µs ÷ {it.busy_share:.0%} of a core"
    lines["workers_rate"] = Line(part, "… for the rate", by_rate, "", how)
    each = (memory_bytes(it.store, 1e7, growth) - memory_bytes(it.store, 0)) / 1e7
    by_memory = math.ceil(it.customers * each / (it.worker_gb * _GB - empty.value * 2**20))
    how = f"{it.customers:,} × {each:,.0f} bytes ÷ ({it.worker_gb:g} GB − an empty worker)"
    lines["workers_memory"] = Line(part, "… for memory", by_memory, "", how)
    start = measured.START_SECONDS[it.store].value * (1 + growth / measured.CHANGELOG_BYTES.value)
    by_start = math.ceil(it.customers / 1e6 * start / it.start_seconds)
    how = f"{start:,.1f} s a million, by bytes ({measured.CHANGELOG_BYTES.file}); {it.start_seconds:g} s allowed"
    lines["workers_start"] = Line(part, "… for a cold start", by_start, "", how)
    workers = max(by_rate, by_memory, by_start, 1)
    lines["workers"] = Line(part, "workers, one core each", workers, "", "the most of the three")
    how = f"twice the workers, at least {_LEAST_PARTITIONS}: they are fixed once the topics exist"
    lines["partitions"] = Line(part, "partitions", max(_LEAST_PARTITIONS, 2 * workers), "", how)
    held = it.customers / workers
    how = f"{empty.value:,.0f} MiB empty + {held:,.0f} customers' ({empty.file}); {ENTRY_BYTES} bytes an order more"
    lines["worker_memory"] = Line(part, "memory of each", memory_bytes(it.store, held, growth) / _GB, "GB", how)
    disk = 0.0 if it.store == "memory" else held * (measured.ROCKSDB_BYTES.value + growth)
    how = "the store is memory" if it.store == "memory" else f"{measured.ROCKSDB_BYTES.said} a customer"
    lines["worker_disk"] = Line(part, "disk of each", disk / _GB, "GB", how)


def _add_trainer_and_sinks(lines: Lines, it: Demand) -> None:
    learned = it.orders_per_second * lines["examples"].value
    how = "labels that mature × the average rate: it may fall behind at the peak"
    lines["learned"] = Line("trainer", "examples to learn", learned, "/s", how)
    again = learned * DAY_SECONDS * it.retention_days / measured.LEARNED_PER_SECOND.value / HOUR_SECONDS
    how = f"{it.retention_days} days of them at {measured.LEARNED_PER_SECOND.said}: a replay waits for it"
    lines["relearned"] = Line("trainer", "to learn the history anew", again, "hours", how)
    share = measured.CHANGES_PER_SCORE
    records = lines["scores"].value * (2 + share) + 2 * learned
    how = f"score, state, {share:.2f} segment changes a score ({measured.SCORES_SEEN.file}); example, state a label"
    lines["records"] = Line("sinks", "records to store at the peak", records, "/s", how)
    one = measured.SINK_RECORDS[it.database]
    sinks, how = 1, "SQLite has one writer"
    if it.database == "postgresql":
        sinks = math.ceil(records / one.value / it.busy_share)
        how = f"{records:,.0f} ÷ {one.said} ÷ {it.busy_share:.0%}; what the server carries was not measured"
    lines["sinks"] = Line("sinks", "sinks", sinks, "", how)


def _add_sql(lines: Lines, it: Demand) -> None:
    figures = measured.SQL_BYTES[it.database]
    each = {name: figure.value for name, figure in figures.items()}
    each["customer_states"] += row_growth_bytes(it)  # these two are updated, the others only grow
    orders = it.orders_per_second * DAY_SECONDS * it.retention_days
    scores = orders * (1 + lines["silences"].value)
    rows = {
        "customers": float(it.customers),
        "customer_states": float(it.customers),
        "scores": scores,
        "segment_changes": scores * measured.CHANGES_PER_SCORE,
        "training_examples": orders * lines["examples"].value,
    }
    for name in ("customers", "customer_states"):
        each[name] *= _DEAD_TIMES[it.database]
    for name, count in rows.items():
        how = f"{count:,.0f} rows × {each[name]:,.0f} bytes with indexes ({figures[name].file})"
        lines[f"sql_{name}"] = Line("SQL", f"table {name}", count * each[name] / _GB, "GB", how)
    total = sum(lines[f"sql_{name}"].value for name in rows)
    how = f"history of {it.retention_days} days; audiences, write-ahead log and back-ups come on top"
    lines["sql"] = Line("SQL", f"database, {it.database}", total, "GB", how)


def _add_broker(lines: Lines, it: Demand) -> None:
    each = {name: figure.value for name, figure in measured.RECORD_BYTES.items()}
    changelog = each["changelog"] + row_growth_bytes(it)
    moments, examples = 1 + lines["silences"].value, lines["examples"].value
    changes = moments * measured.CHANGES_PER_SCORE
    kept = each[ORDERS] + changes * each[SEGMENT_CHANGES] + examples * each[TRAINING_EXAMPLES]
    rewritten = moments * each[SCORES] + (moments + examples) * changelog
    orders, part = it.orders_per_second * DAY_SECONDS, "broker"
    deleted = kept * orders * it.retention_days
    how = f"{kept:,.0f} bytes an order ({measured.SCORES_SEEN.file}) × {it.retention_days} days"
    lines["broker_deleted"] = Line(part, "topics of cleanup delete", deleted / _GB, "GB", how)
    uncleaned = min(rewritten * orders * _SEGMENT_DAYS, 2 * lines["partitions"].value * _SEGMENT_BYTES)
    compacted = _DIRTY_TIMES * it.customers * (each[SCORES] + changelog) + uncleaned
    how = f"2 × customers × ({each[SCORES]:,.0f} + {changelog:,.0f}) bytes, and open segments: Kafka's defaults"
    lines["broker_compacted"] = Line(part, "scores and changelog", compacted / _GB, "GB", how)
    total = (deleted + compacted) / _GB
    how = f"{total:,.1f} GB × {it.replication} replicas"
    lines["broker"] = Line(part, "disk of all brokers", total * it.replication, "GB", how)
    rate = (kept + rewritten) * it.orders_per_second * it.peak / 1e6
    how = f"{kept + rewritten:,.0f} bytes an order, uncompressed, no row twice in a batch"
    lines["broker_in"] = Line(part, "written by clients at the peak", rate, "MB/s", how)
    how = f"× {it.replication} replicas"
    lines["broker_stored"] = Line(part, "written to disks at the peak", rate * it.replication, "MB/s", how)
    again = examples * each[TRAINING_EXAMPLES] + moments * each[SCORES] + changes * each[SEGMENT_CHANGES]
    how = "workers read orders, sinks the rest, the trainer examples, ads scores and changes; replicas on top"
    read = rate + again * it.orders_per_second * it.peak / 1e6
    lines["broker_out"] = Line(part, "read by clients at the peak", read, "MB/s", how)


def _add_sums(lines: Lines, it: Demand) -> None:
    workers, part = lines["workers"].value, "sum"
    roles = {"trainer": 1, "sink": lines["sinks"].value, "api": 1, "ads": 1}
    cores = workers + sum(roles.values())
    how = "workers and sinks; trainer, API, ads one each; brokers and database server not reckoned"
    lines["cores"] = Line(part, "cores of our roles", cores, "", how)
    others = sum(measured.ROLE_MIB[name] * count for name, count in roles.items()) * 2**20 / _GB
    memory = workers * lines["worker_memory"].value + others
    how = "workers as above, the others as seen in a demo (docs/deployment.md)"
    lines["memory"] = Line(part, "memory of our roles", memory, "GB", how)
    disk = workers * lines["worker_disk"].value + lines["sql"].value + lines["broker"].value
    lines["disk"] = Line(part, "disk", disk, "GB", "workers' stores, database, brokers")
    prices = it.prices
    if prices.are_given:
        parts = {
            "cores": cores * MONTH_HOURS * prices.vcpu_hour,
            "memory": memory * prices.memory_gb_month,
            "disk": disk * prices.disk_gb_month,
        }
        how = " + ".join(f"{name} {cost:,.2f}" for name, cost in parts.items())
        how += f"; {MONTH_HOURS} hours; not in it: cores and memory of brokers and database, traffic"
        lines["cost"] = Line(part, "a month, at the prices given", sum(parts.values()), "", how)
