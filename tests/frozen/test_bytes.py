"""Today's code on the bytes of every released version."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from clv import topics
from clv.errors import EventError
from clv.events import decode_event
from clv.outcomes import ModelAnnounced
from clv.pipeline import Record
from clv.published import LAST_SEQUENCE
from clv.rules import Rules
from clv.state import decode_row
from clv.watermark import PartitionState
from models.loading import Loader
from storage.archive import check_archive, restore_archive
from storage.artifacts import StoredArtifacts, get_artifact
from storage.batch import Position
from storage.engine import Database
from storage.schema import is_current
from streams.partitions import PartitionProcessor
from streams.rows import PARTITION_KEY
from streams.sink_batches import OUTPUT_TOPICS, collect
from streams.store import MemoryRows
from streams.trainer_store import TrainerStore, stored_examples
from tests.acceptance.sending import order
from tests.acceptance.totals import Totals, event_totals, stored_totals
from tests.frozen.records import BACKUP, FOLDER, VERSIONS, FrozenRecord, read_records, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clv.settings import Settings

CHANGELOG = topics.changelog_topic("clv")
pytestmark = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a deployment like the sample's, on an empty database of each kind."""
    if request.param == "sqlite":
        return settings_of(tmp_path)
    return settings_of(tmp_path, database_url=str(request.getfixturevalue("postgres_database")))


@pytest.fixture
def restored(settings: Settings, version: str) -> Iterator[Database]:
    """The sample's database, restored."""
    restore_archive(settings.sql_url, FOLDER / version / BACKUP, replace=False, now_ms=0, observe=lambda *_: None)
    with closing(Database(settings.sql_url)) as database:
        yield database


def of_topic(version: str, topic: str) -> list[FrozenRecord]:
    """Return a topic's records."""
    return [record for record in read_records(version) if record.topic == topic]


def rows_of(version: str) -> dict[int, MemoryRows]:
    """Return the customers table of each partition, as recovery makes it of the changelog."""
    found: dict[int, MemoryRows] = {0: MemoryRows(), 1: MemoryRows()}
    for record in of_topic(version, CHANGELOG):
        assert record.key is not None
        found[record.partition].put({record.key: record.value}, record.offset)
    return found


def expected_totals(version: str) -> dict[str, Totals]:
    """Work every customer's totals out of the orders' JSON, by the contract alone; but for whom the sample erased."""
    lines = [record.value for record in of_topic(version, topics.ORDERS) if record.value]
    events = [json.loads(line) for line in lines if line.startswith(b"{")]
    erased = {event["customer_id"] for event in events if event["type"] == "CustomerErased"}
    kept = [e for e in events if e["type"] in ("OrderPlaced", "OrderRefunded") and e["event_id"] != "far"]
    totals = event_totals(json.dumps(event) for event in kept)
    return {customer_id: total for customer_id, total in totals.items() if customer_id not in erased}


def table_totals(rows: dict[int, MemoryRows]) -> dict[str, Totals]:
    """Return the totals that the customers table holds of whoever has bought anything."""
    found = {}
    for of_partition in rows.values():
        for key, row in of_partition.items():
            if key != PARTITION_KEY:
                totals = decode_row(row, 0).state.totals
                found[key.decode()] = Totals(totals.order_count, totals.revenue_minor, totals.refunded_minor)
    return {customer_id: totals for customer_id, totals in found.items() if totals.order_count}


def test_every_topic_has_a_sample(version: str) -> None:
    """There is at least one record of every topic, public and private."""
    assert {record.topic for record in read_records(version)} >= {spec.name for spec in topics.TOPICS} | {CHANGELOG}


def test_every_event_is_read(version: str) -> None:
    """Every event that was applied then is one now, and what was refused is refused."""
    refused = []
    for record in of_topic(version, topics.ORDERS):
        try:
            decode_event(record.value, record.key, currency="USD", digits=2)
        except EventError:
            refused.append(record.value)
    assert refused == [record.value for record in of_topic(version, topics.DEAD_LETTERS)]


def test_every_output_is_stored(version: str) -> None:
    """The sink makes a row of every record, and none is unreadable to it."""
    records = [record for record in read_records(version) if record.topic != topics.ORDERS]
    expected = {(record.topic, record.partition): Position() for record in records}
    batch = collect(records, expected=expected, ids=dict.fromkeys(OUTPUT_TOPICS, "id"), changelog=CHANGELOG)
    assert len(batch.dead_letters) == len(of_topic(version, topics.DEAD_LETTERS))
    assert len(batch.models) == len(of_topic(version, topics.MODELS))
    assert batch.partitions.keys() == {0, 1}
    assert batch.erased == {"c0000004": b"c0000004"}
    assert batch.customers.keys() == expected_totals(version).keys()


def test_the_changelog_has_everyone_s_totals(version: str) -> None:
    """The customers table made from the changelog holds what the orders' JSON adds up to."""
    assert table_totals(rows_of(version)) == expected_totals(version)


def test_a_worker_goes_on_from_the_changelog(version: str, restored: Database, settings: Settings) -> None:
    """Repeated old orders and new ones end in exact totals, and are scored by the models of then."""
    rows, expected = rows_of(version), expected_totals(version)
    judgement = Loader(settings, StoredArtifacts(restored)).load(LAST_SEQUENCE).judgement
    scorers = set()
    for number, of_partition in rows.items():
        old = [record for record in of_topic(version, topics.ORDERS) if record.partition == number]
        names = sorted({r.key.decode() for r in old if r.key and r.key.decode() in expected})
        new = [order(name, 9_000, "2024-07-23T12:00:00Z") for name in names]
        state = msgspec.msgpack.decode(of_partition.get(PARTITION_KEY) or b"", type=PartitionState)
        assert state.applied_offset == old[-1].offset
        worker = PartitionProcessor(
            number, of_partition, topic_id=state.topic_id, rules=Rules.from_settings(settings), batch_records=1_000
        )
        sent = [(r.key, r.value) for r in old] + [(r.key, r.value) for r in new]
        results = worker.process([Record(old[-1].offset + 1 + n, *each) for n, each in enumerate(sent)], judgement)
        worker.settle(results, worker.batch_number, 10**6)
        scored = [msgspec.json.decode(out.value) for out in results.outputs if out.topic == topics.SCORES and out.value]
        scorers |= {score["models"]["scorer"] for score in scored if score["as_of"] > "2024-07-23"}
        expected |= {
            name: expected[name]._replace(
                order_count=expected[name].order_count + 1, revenue_minor=expected[name].revenue_minor + 1_000
            )
            for name in names
        }
    assert table_totals(rows) == expected
    assert len(scorers) == 1
    assert "" not in scorers


def test_models_and_learner_are_read(version: str, restored: Database, settings: Settings) -> None:
    """The database comes up to today's tables; all announced bytes load, and the learner learns on."""
    assert check_archive(FOLDER / version / BACKUP, observe=lambda *_: None).rows > 0
    assert is_current(restored)
    assert stored_totals(restored) == expected_totals(version)
    announced = [msgspec.json.decode(r.value or b"", type=ModelAnnounced) for r in of_topic(version, topics.MODELS)]
    assert {"scorer", "segment-policy", "ensemble"} <= {model.name for model in announced}
    assert all(get_artifact(restored, model.digest) for model in announced)
    store = TrainerStore(settings, restored)
    store.load()
    training = store.training()
    learned = training.learner.learned_count
    for example in stored_examples(restored, 0, 2**62):
        training.learner.learn(example)
    assert training.learner.learned_count > learned > 0
    assert training.learner.snapshot(training.state.through_ms).sequence > 0
