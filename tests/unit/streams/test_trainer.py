"""The trainer's loop: each example learned once, whatever stops it, and beside a training on demand."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from aiokafka import TopicPartition

from clv import topics
from clv.errors import StoreConflict, StoreUnavailable
from clv.outcomes import ModelAnnounced, WatermarkPassed
from clv.published import SCORER_NAME
from clv.settings import Settings
from models.training import LearnerState
from observability.trainer import TrainerMetrics
from storage.artifacts import newest_artifacts
from storage.cards import read_events
from storage.learning import load_learner, read_metrics
from streams.pinning import promote, roll_back
from streams.retraining import retrain
from streams.trainer import Trainer
from streams.trainer_store import NAME, TrainerStore
from tests.unit.streams.shop import PARTITIONS, Shop, open_database, shop, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from storage.engine import Database
    from streams.pinning import Pinned
    from streams.training import Publication, Training

DAYS = 170
SETTINGS = Settings(partitions=PARTITIONS, refit_days=10_000)


class Crash(Exception):  # not an error of ours: it stands for kill -9
    """The process ends here."""


class Read(NamedTuple):
    """A consumed record."""

    offset: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class ExamplesTopic:
    """The examples topic as a consumer: gives a few records of one partition after the other, as a seed decides."""

    def __init__(self, logs: Mapping[int, Sequence[bytes | None]], seed: int = 0) -> None:
        self._logs = logs
        self._random = random.Random(seed)
        self._positions: dict[int, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these partitions."""
        self._positions = {place.partition: 0 for place in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        self._positions[partition.partition] = offset

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Read]]:
        """Return the next records of a partition, none at the end."""
        left = [p for p, position in self._positions.items() if position < len(self._logs[p])]
        if not left:
            return {}
        partition = self._random.choice(left)
        start = self._positions[partition]
        end = self._positions[partition] = min(start + self._random.randint(1, 60), len(self._logs[partition]))
        values = self._logs[partition][start:end]
        place = TopicPartition(topics.TRAINING_EXAMPLES, partition)
        return {place: [Read(start + number, value) for number, value in enumerate(values)]}

    @property
    def is_read(self) -> bool:
        """Whether every partition has been read to its end."""
        return all(position >= len(self._logs[p]) for p, position in self._positions.items())


class Announced:
    """A producer that keeps what it sends, and may end the process before a send."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.crash_at = -1

    async def send_and_wait(self, topic: str, value: bytes | None, **_: Any) -> object:
        """Keep a record."""
        if len(self.values) == self.crash_at:
            self.crash_at = -1
            raise Crash
        assert value is not None
        self.values.append(value)
        return topic

    def scorers(self) -> list[ModelAnnounced]:
        """Return the scorers' announcements."""
        return [msgspec.json.decode(value, type=ModelAnnounced) for value in self.values if b'"name":"scorer"' in value]

    def versions(self) -> list[str]:
        """Return the scorers' versions as announced."""
        return [announced.version for announced in self.scorers()]


class FlakyStore(TrainerStore):
    """A store that fails at some saves, before or after they have taken effect."""

    def __init__(self, database: Database, fails: Callable[[], str]) -> None:
        super().__init__(SETTINGS, database)
        self._fails = fails

    def save(self, training: Training, published: Publication, **places: Any) -> None:
        """Save, or fail."""
        how = self._fails()
        if how == "before":
            raise StoreUnavailable("the database is locked")
        before = self._saved
        super().save(training, published, **places)
        if how == "after":
            self._saved = before
            raise StoreUnavailable("the connection broke during the commit")
        if how == "crash":
            raise Crash


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry the store at once."""
    monkeypatch.setattr("streams.store_retry._FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a database with the shop's states, scores and examples."""
    opened = open_database(tmp_path)
    store(opened, shop(DAYS))
    yield opened
    opened.close()


def logs_of(given: Shop) -> dict[int, list[bytes | None]]:
    """Return the records of the examples topic by partition."""
    return {p: [msgspec.json.encode(event) for event in given.topic(p)] for p in range(PARTITIONS)}


def trainer_on(
    database: Database,
    topic: ExamplesTopic,
    producer: Announced,
    *,
    given: TrainerStore | None = None,
    topic_id: str = "t1",
    settings: Settings = SETTINGS,
    metrics: TrainerMetrics | None = None,
) -> Trainer:
    """Return a new trainer process."""
    kept, stop = given or TrainerStore(settings, database), asyncio.Event()
    return Trainer(settings, kept, consumer=topic, producer=producer, topic_id=topic_id, stop=stop, metrics=metrics)


async def run_on(trainer: Trainer, topic: ExamplesTopic) -> None:
    """Step until everything has been read."""
    while not topic.is_read:
        await trainer.step()


async def run_to_the_end(trainer: Trainer, topic: ExamplesTopic) -> None:
    """Start a trainer and step until everything has been read."""
    await trainer.begin()
    await run_on(trainer, topic)


def learned(database: Database) -> LearnerState:
    """Return what the stored learner has learned: all but the number of its snapshots."""
    state = TrainerStore(SETTINGS, database)
    state.load()
    found = msgspec.json.decode(state.state().learner, type=LearnerState)
    return msgspec.structs.replace(found, sequence=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> LearnerState:
    """What a trainer learns that nothing disturbs."""
    opened = open_database(tmp_path_factory.mktemp("undisturbed"))
    store(opened, shop(DAYS))
    topic = ExamplesTopic(logs_of(shop(DAYS)))
    asyncio.run(run_to_the_end(trainer_on(opened, topic, Announced()), topic))
    state = learned(opened)
    opened.close()
    return state


def test_every_matured_example_is_learned_once(database: Database, undisturbed: LearnerState) -> None:
    """What is learned are the examples matured before the last day's watermark, and the figures are in SQL."""
    watermark_at = max(e.watermark_at for e in shop(DAYS).topic(0) if isinstance(e, WatermarkPassed))
    count = sum(one.matured_at < watermark_at for one in shop(DAYS).examples())
    assert undisturbed.prequential.example_count == undisturbed.online.learned_count == count > 100
    topic, producer = ExamplesTopic(logs_of(shop(DAYS)), seed=5), Announced()
    asyncio.run(run_to_the_end(trainer_on(database, topic, producer), topic))
    assert learned(database) == undisturbed
    assert read_metrics(database)["clv"].figures["count"] == count
    assert producer.versions() == sorted(set(producer.versions()))


def test_what_is_learned_and_how_good_it_is_is_shown(database: Database, undisturbed: LearnerState) -> None:
    """Figures say what was learned and what was not readable, who answers and how well; a restart shows it too."""
    logs = logs_of(shop(DAYS))
    logs[0][40:40] = [b"rubbish", None]
    topic, metrics, refitting = ExamplesTopic(logs), TrainerMetrics(), replace(SETTINGS, refit_days=28)
    asyncio.run(run_to_the_end(trainer_on(database, topic, Announced(), settings=refitting, metrics=metrics), topic))

    def figure(name: str, shown: TrainerMetrics = metrics, **labels: str) -> float | None:
        return shown.registry.get_sample_value(f"clv_trainer_{name}", labels)

    assert figure("learned_examples_total") == undisturbed.prequential.example_count
    assert figure("unreadable_examples_total") == 2
    assert figure("champion_info", model=learned(database).champion) == 1
    ratio = read_metrics(database)["clv"].figures["ratio"]
    assert figure("model_calibration_ratio", model="clv") == pytest.approx(ratio)
    switched = sum(figure("champion_switches_total", cause=cause) or 0 for cause in ("fitted", "error"))
    assert switched == len(read_events(database)) >= 1
    assert (figure("announcements_total", kind="model") or 0) >= 1
    assert (figure("step_seconds_count") or 0) >= 1
    again = TrainerMetrics()
    asyncio.run(trainer_on(database, topic, Announced(), settings=refitting, metrics=again).begin())
    names = ("model_calibration_ratio", "model_relative_error_ratio")
    assert [figure(name, again, model="clv") for name in names] == [figure(name, model="clv") for name in names]
    assert figure("learned_through_timestamp_seconds", again) == figure("learned_through_timestamp_seconds")


@pytest.mark.parametrize("seed", range(3))
def test_restarts_anywhere_change_nothing(database: Database, undisturbed: LearnerState, seed: int) -> None:
    """Trainers that end at any step, in a save or before an announcement, learn together what one would have."""
    chance = random.Random(seed)
    topic, producer = ExamplesTopic(logs_of(shop(DAYS)), seed=seed), Announced()

    def fails() -> str:
        return chance.choices(["", "before", "after", "crash"], [20, 2, 1, 1])[0]

    async def run() -> None:
        is_done = False
        while not is_done:
            producer.crash_at = len(producer.values) + chance.randint(0, 30)
            trainer = trainer_on(database, topic, producer, given=FlakyStore(database, fails))
            try:
                await trainer.begin()
                for _ in range(chance.randint(1, 25)):
                    await trainer.step()
                    is_done = topic.is_read
            except Crash:
                continue
        producer.crash_at = -1
        await trainer_on(database, topic, producer).begin()

    asyncio.run(run())
    assert learned(database) == undisturbed
    kept = TrainerStore(SETTINGS, database)
    kept.load()
    assert set(map(msgspec.json.encode, kept.state().outbox)) <= set(producer.values)
    assert producer.versions()[-1] == kept.state().announced[SCORER_NAME]


def test_what_was_stored_and_not_announced_is_announced_at_the_next_start(database: Database) -> None:
    """A trainer that ended between saving and sending leaves its announcements to the next one."""
    topic, producer = ExamplesTopic(logs_of(shop(DAYS))), Announced()
    producer.crash_at = 0
    with pytest.raises(Crash):
        asyncio.run(run_to_the_end(trainer_on(database, topic, producer), topic))
    assert producer.values == []
    asyncio.run(trainer_on(database, topic, producer).begin())
    assert producer.versions() == ["000001-" + producer.versions()[0][7:]]


def test_a_training_on_demand_is_taken_over(database: Database, undisturbed: LearnerState) -> None:
    """The trainer survives `clv train` beside it: it goes on from what that stored, and learns nothing twice."""
    topic, producer = ExamplesTopic(logs_of(shop(DAYS)), seed=1), Announced()

    async def run() -> None:
        trainer = trainer_on(database, topic, producer)
        await trainer.begin()
        for _ in range(20):
            await trainer.step()
        result = await asyncio.to_thread(retrain, SETTINGS, database)
        await run_on(trainer, topic)
        await trainer.begin()
        assert result.version in producer.versions()

    asyncio.run(run())
    found = learned(database)
    assert found.online == undisturbed.online
    assert found.prequential == undisturbed.prequential
    assert found.btyd is not None


def test_a_promotion_is_taken_over(database: Database, undisturbed: LearnerState) -> None:
    """The trainer survives `clv models promote` beside it: it learns on, nothing twice, and what it publishes is so."""
    topic, producer = ExamplesTopic(logs_of(shop(DAYS)), seed=1), Announced()
    settings = Settings(partitions=PARTITIONS, refit_days=5)

    async def run() -> Pinned:
        trainer = trainer_on(database, topic, producer, settings=settings)
        await trainer.begin()
        while not any(b'"name":"ensemble"' in value for value in producer.values):
            await trainer.step()
        result = await asyncio.to_thread(promote, settings, database, "ensemble")
        await run_on(trainer, topic)
        return result

    result = asyncio.run(run())
    assert learned(database).prequential.example_count == undisturbed.prequential.example_count
    assert result.version in producer.versions()
    later = [announced for announced in producer.scorers() if announced.version > result.version]
    assert later
    assert {announced.champion for announced in later} == {"ensemble"}


def test_behind_a_rollback_the_trainer_announces_no_scorer(database: Database, undisturbed: LearnerState) -> None:
    """`clv models rollback` beside a trainer: it learns as it would have, and no newer snapshot goes out."""
    topic, producer = ExamplesTopic(logs_of(shop(DAYS)), seed=1), Announced()

    async def run() -> Pinned:
        trainer = trainer_on(database, topic, producer)
        await trainer.begin()
        while len(producer.versions()) < 3:
            await trainer.step()
        result = await asyncio.to_thread(roll_back, SETTINGS, database, producer.versions()[0])
        await run_on(trainer, topic)
        return result

    result = asyncio.run(run())
    found = learned(database)
    assert (found.online, found.prequential) == (undisturbed.online, undisturbed.prequential)
    assert producer.versions()[-1] == max(producer.versions()) == result.version
    newest = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=1)
    assert newest[0].version == result.version


def test_the_last_trainer_started_has_the_role(database: Database) -> None:
    """One that another has replaced stops at its next save, and has changed nothing."""
    logs = logs_of(shop(DAYS))

    async def run() -> None:
        topic = ExamplesTopic(logs)
        first = trainer_on(database, topic, Announced())
        await first.begin()
        await first.step()
        await trainer_on(database, ExamplesTopic(logs), Announced()).begin()
        revision = load_learner(database, NAME).revision
        with pytest.raises(StoreConflict, match="another trainer has taken over"):
            await run_on(first, topic)
        assert load_learner(database, NAME).revision == revision

    asyncio.run(run())


def test_what_a_lost_topic_carried_is_learned_from_sql(database: Database, undisturbed: LearnerState) -> None:
    """When the broker has forgotten the examples topic, what was not learned yet comes from the database."""
    logs = logs_of(shop(DAYS))

    async def run() -> None:
        before = ExamplesTopic(logs, seed=2)
        trainer = trainer_on(database, before, Announced())
        await trainer.begin()
        while "clv" not in read_metrics(database):
            await trainer.step()
        assert learned(database).online.learned_count < undisturbed.online.learned_count // 2
        # The new topic carries the last fifth only; the sink had stored the rest before the broker went away.
        rest = {p: log[len(log) * 4 // 5 :] for p, log in logs.items()}
        after = ExamplesTopic(rest, seed=3)
        await run_to_the_end(trainer_on(database, after, Announced(), topic_id="t2"), after)

    asyncio.run(run())
    assert learned(database) == undisturbed


def test_an_unreadable_record_is_passed_over(database: Database, undisturbed: LearnerState) -> None:
    """Rubbish and a tombstone in the topic stop nobody: the sink keeps them as dead letters."""
    logs = logs_of(shop(DAYS))
    logs[0][40:40] = [b"rubbish", None, b'{"type":"WatermarkPassed"}', b"\xff"]
    topic = ExamplesTopic(logs)
    asyncio.run(run_to_the_end(trainer_on(database, topic, Announced()), topic))
    assert learned(database) == undisturbed
