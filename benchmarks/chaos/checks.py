"""What must hold after a campaign, place by place: what is lost, and what is there and should not be."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from benchmarks.chaos.evidence import local_stores, read_topics, rebuilt, stored_rows
from benchmarks.chaos.recomputed import identities, recompute, without_models
from benchmarks.chaos.shop import FUTURE_MARK, POISON_MARK, ClosedForm, customer_id
from clv import ledger
from clv.events import parse_time_ms
from clv.outcomes import TrainingExample
from clv.pipeline import Record
from clv.rules import Rules
from clv.state import decode_row, incarnation_code
from clv.topics import DEAD_LETTERS, ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES, changelog_topic
from clv.watermark import PartitionState
from storage.batch import Position
from streams.rows import PARTITION_KEY
from streams.sink_batches import OUTPUT_TOPICS, collect
from streams.trainer_store import TrainerStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.chaos.evidence import Topics
    from benchmarks.chaos.stage import Stage

_SQL = ("scores", "segment_changes", "training_examples", "dead_letters", "budget_signals")


class Difference(NamedTuple):
    """How many of the things that must be there are missing or wrong, how many are there beyond them, and examples."""

    lost: int
    extra: int
    compared: int
    example: str = ""


def compare(expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> Difference:
    """Compare by key: what is missing or differs is lost, what nobody expects is extra.

    Examples
    --------
    >>> compare({1: "a", 2: "b"}, {2: "c", 3: "d"})[:2]
    (2, 1)
    """
    lost = [key for key, value in expected.items() if key not in found or found[key] != value]
    extra = [key for key in found if key not in expected]
    return Difference(len(lost), len(extra), len(expected), _example(lost, extra))


def compare_counts(expected: Iterable[Any], found: Iterable[Any]) -> Difference:
    """Compare as collections in which each thing counts."""
    wanted, there = Counter(expected), Counter(found)
    lost, extra = wanted - there, there - wanted
    return Difference(lost.total(), extra.total(), wanted.total(), _example(list(lost), list(extra)))


def _example(lost: list[Any], extra: list[Any]) -> str:
    return f"lost {lost[:1]}, extra {extra[:1]}"[:500] if lost or extra else ""


def check(stage: Stage) -> tuple[dict[str, Difference], Topics]:
    """Compare everything that a deployment at rest holds; the roles are ended on the way, workers in order."""
    topics = read_topics(stage)
    found = _check_outputs(stage, topics)
    found |= _check_sql(stage, topics)
    found |= _check_commits(stage, topics)
    for role in stage.roles.values():
        role.end(15)
    found |= _check_state(stage, topics)
    found["conflicting repeats"] = Difference(0, topics.conflicts, topics.repeats)
    return found, topics


def _check_outputs(stage: Stage, topics: Topics) -> dict[str, Difference]:
    expected = identities(o for each in _recomputed(stage, topics).values() for o in each.outcomes)
    there = identities([*topics.events[SCORES], *topics.events[TRAINING_EXAMPLES]])
    letters = [
        (int(h["clv-partition"]), int(h["clv-offset"]), h["clv-reason"].decode(), record.value)
        for record in topics.unique[DEAD_LETTERS]
        if (h := dict(record.headers))["clv-topic"].decode() == ORDERS
    ]
    poison = {(r.partition, r.offset) for r in topics.raw[ORDERS] if _is_poison(r)}
    changes = [(c.customer_id, c.cause, c.from_segment, c.to_segment) for c in topics.events[SEGMENT_CHANGES]]
    return {
        "topic scores": compare(_in_order(expected["scores"]), _in_order(there["scores"])),
        "topic segment changes": compare(_in_order(_changes(topics.events[SCORES])), _in_order(changes)),
        "topic training examples": compare(_in_order(expected["examples"]), _in_order(there["examples"])),
        "topic watermarks": compare_counts(expected["watermarks"], there["watermarks"]),
        "topic dead letters": compare_counts(expected["dead_letters"], letters),
        "poison": compare_counts(poison, [letter[:2] for letter in letters]),
    }


def _recomputed(stage: Stage, topics: Topics) -> dict[int, Any]:
    rules = Rules.from_settings(stage.settings)
    found = {}
    for number in range(stage.settings.partitions):
        records = [Record(r.offset, r.key, r.value) for r in topics.raw[ORDERS] if r.partition == number]
        found[number] = recompute(number, records, rules, stage.ids[ORDERS])
    return found


def _in_order(things: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, int], tuple[Any, ...]]:
    """Number each customer's things as they follow one another: a thing in another place is a difference."""
    count: Counter[Any] = Counter()
    found = {}
    for thing in things:
        found[thing[0], count[thing[0]]] = thing
        count[thing[0]] += 1
    return found


def _changes(scores: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return the segment changes that a sequence of scores implies."""
    held: dict[str, Any] = defaultdict(lambda: None)
    found = []
    for score in scores:
        before = held[score.customer_id]
        if score.segment is not None and score.segment != before:
            found.append((score.customer_id, score.cause, before, score.segment))
            held[score.customer_id] = score.segment
    return found


def _is_poison(record: Any) -> bool:
    text = (record.value or b"") + (record.key or b"")
    return POISON_MARK.encode() in text or FUTURE_MARK.encode() in text


def _check_sql(stage: Stage, topics: Topics) -> dict[str, Difference]:
    changelog = changelog_topic(stage.settings.group)
    records = [record for topic in OUTPUT_TOPICS for record in topics.unique[topic]]
    places = {(r.topic, r.partition): Position() for r in (*records, *topics.raw[changelog])}
    batch = collect(records, expected=places, ids=stage.ids, changelog=changelog)
    wanted = {name: [dict(row) for row in getattr(batch, name)] for name in _SQL}
    found = {
        f"SQL {name}": compare_counts(map(_frozen, wanted[name]), _as_given(_stored(stage, name), wanted[name]))
        for name in _SQL
    }
    customers = {row["customer_id"]: row for row in _stored(stage, "customers")}
    found["SQL customers"] = compare(batch.customers, customers)
    states = {(row["partition"], row["key"]): row["row"] for row in _stored(stage, "customer_states")}
    found["SQL states"] = compare(rebuilt(topics.raw[changelog]), states)
    stored = {(row["topic"], row["partition"]): row["next_offset"] for row in _stored(stage, "sink_offsets")}
    ends: dict[tuple[str, int], int] = {
        tuple(place): end for place, end in stage.background.run(stage.observer.ends()).items()
    }
    found["SQL offsets"] = compare(
        {p: end for p, end in ends.items() if p[0] != ORDERS and end}, {p: o for p, o in stored.items() if o}
    )
    found["examples learned"] = _check_learned(stage, topics)
    return found


def _check_learned(stage: Stage, topics: Topics) -> Difference:
    """Compare how many examples the learner has seen with how many there are up to where it has come."""
    kept = TrainerStore(stage.settings, stage.database)
    kept.load()
    training = kept.training()
    there = sum(
        isinstance(e, TrainingExample) and parse_time_ms(e.matured_at) < training.state.through_ms
        for e in topics.events[TRAINING_EXAMPLES]
    )
    learned = training.learner.learned_count
    return Difference(
        max(there - learned, 0), max(learned - there, 0), there, f"{learned} of {there}" if there != learned else ""
    )


def _stored(stage: Stage, table: str) -> list[dict[str, Any]]:
    return stored_rows(stage.database, table)


def _as_given(rows: Iterable[dict[str, Any]], given: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return stored rows with the columns that the sink gives; what the database adds by itself follows from them."""
    names = set(given[0]) if given else set()
    return [_frozen({name: value for name, value in row.items() if name in names}) for row in rows]


def _frozen(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(row.items(), key=lambda item: item[0]))


def _check_commits(stage: Stage, topics: Topics) -> dict[str, Difference]:
    """Look whether anything was committed before the changelog held it."""
    changelog = changelog_topic(stage.settings.group)
    reached: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for record in topics.raw[changelog]:
        if record.key == PARTITION_KEY:
            state = msgspec.msgpack.decode(record.value, type=PartitionState)
            reached[record.partition].append((record.timestamp / 1000, state.applied_offset + 1))
    early = 0
    for sample in stage.observer.samples:
        # The sample was taken after ``at``; records are dated by their writer's clock, which is the same.
        early += not any(at <= sample.at + 1.0 and offset >= sample.offset for at, offset in reached[sample.partition])
    return {
        "commits before durable": Difference(0, early, len(stage.observer.samples)),
        "commits that went back": Difference(0, stage.observer.regressions, len(stage.observer.samples)),
    }


def _check_state(stage: Stage, topics: Topics) -> dict[str, Difference]:
    records = topics.raw[changelog_topic(stage.settings.group)]
    table = {place: row for place, row in rebuilt(records).items() if place[1] != PARTITION_KEY}
    topic_id = stage.ids[ORDERS]
    source = {
        (number, name.encode()): without_models(row, topic_id)
        for number, each in _recomputed(stage, topics).items()
        for name, row in each.rows.items()
    }
    totals = {name.decode(): _totals(row, topic_id) for (_, name), row in table.items()}
    closed = {customer_id(n): stage.shop.expected(n, days=stage.feeder.days) for n in range(stage.shop.customers)}
    found = {
        "state from source": compare(source, {place: without_models(row, topic_id) for place, row in table.items()}),
        "state in closed form": compare(closed, totals),
    }
    return found | _check_stores(stage, records, table)


def _check_stores(stage: Stage, records: list[Any], table: Mapping[tuple[int, bytes], bytes]) -> dict[str, Difference]:
    """Compare the newest local store of each partition with the changelog; no other may be behind its own offset."""
    stores = local_stores(stage.settings.data_dir, [name for name in stage.roles if name.startswith("w")])
    newest = {store.partition: store for store in sorted(stores, key=lambda s: s.offset)}
    rows = {
        (number, key): row
        for number, store in newest.items()
        for key, row in store.rows.items()
        if key != PARTITION_KEY
    }
    code = incarnation_code(stage.ids[ORDERS])
    stale = 0
    for store in stores:
        known = rebuilt(r for r in records if r.partition == store.partition and r.offset <= store.offset)
        for (_, key), row in known.items():
            if key != PARTITION_KEY:
                held = store.rows.get(key)
                stale += held is None or decode_row(held, code).applied_offset < decode_row(row, code).applied_offset
    return {"state in the table": compare(table, rows), "local stores": Difference(stale, 0, len(stores))}


def _totals(row: bytes, topic_id: str) -> ClosedForm:
    state = decode_row(row, incarnation_code(topic_id)).state
    amounts = [e.amount_minor for e in ledger.unpack(state.ledger) if e.kind == ledger.ORDER]
    totals = state.totals
    return ClosedForm(
        totals.order_count,
        totals.revenue_minor,
        totals.refunded_minor,
        min(amounts, default=0),
        max(amounts, default=0),
        totals.first_order_ms,
        totals.last_order_ms,
    )
