"""Cards, events of who answers, and which published bytes are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from clv.errors import StoreConflict
from clv.rules import DAY_MS
from storage import pruning, tables
from storage.artifacts import Artifact, put_artifacts
from storage.cards import Registered, StoredCard, StoredEvent, card_at, pin_in_force, read_cards, read_events
from storage.learning import LearnerState, load_learner, save_learner
from storage.pruning import Retention, prune_artifacts

if TYPE_CHECKING:
    from storage.engine import Database

RETENTION = Retention("scorer", "ensemble", "segment-policy")


def version(sequence: int) -> str:
    """Return a version as the trainer names it."""
    return f"{sequence:06d}-abcdef012345"


def card(sequence: int, *, day: int = 0, ensemble: str = "") -> StoredCard:
    """Return a card of a snapshot that had learned through a day."""
    return StoredCard(version(sequence), "scorer", "d" * 64, day * DAY_MS, "refit", "btyd", ensemble, "{}")


def event(sequence: int, cause: str = "error") -> StoredEvent:
    """Return a switch from btyd to online."""
    return StoredEvent(version(sequence), 1, cause, "btyd", "online", '{"margin":0.01}')


def save(database: Database, registered: Registered, *artifacts: Artifact) -> None:
    """Save the next revision of a learner with what is registered."""
    save_learner(database, "t", load_learner(database, "t"), artifacts=artifacts, registered=registered)


def test_cards_and_events_come_back_oldest_first(database: Database) -> None:
    """Each as it was stored; the same again adds nothing and changes nothing."""
    save(database, Registered([card(2), card(10)], [event(10)]))
    save(database, Registered([card(1)], [event(1)]))
    save(database, Registered([card(1, day=9)], [event(1, "promote")]))
    assert read_cards(database) == [card(1), card(2), card(10)]
    assert read_events(database) == [event(1), event(10)]
    assert read_cards(database, begins_with="000010") == [card(10)]
    assert read_cards(database, begins_with="0_") == []


def test_a_version_without_a_card_has_the_one_before(database: Database) -> None:
    """The newest card up to a version, None before the first."""
    save(database, Registered([card(3), card(7)]))
    assert [card_at(database, version(sequence)) for sequence in (2, 3, 6, 9)] == [None, card(3), card(3), card(7)]


@pytest.mark.parametrize(
    ("causes", "pinned_by"),
    [
        ((), None),
        (("fitted", "error"), None),
        (("promote", "error"), 1),
        (("promote", "rollback"), 2),
        (("promote", "unpin", "error"), None),
    ],
    ids=["nothing", "errors-alone", "promoted", "then-rolled-back", "unpinned"],
)
def test_the_last_word_of_a_person_holds(database: Database, causes: tuple[str, ...], pinned_by: int | None) -> None:
    """A promotion or rollback is in force until the next one, or until it is unpinned."""
    events = [event(number, cause) for number, cause in enumerate(causes, start=1)]
    save(database, Registered([], events))
    found = pin_in_force(database)
    assert (found and found.version) == (version(pinned_by) if pinned_by else None)


def test_a_stale_trainer_registers_nothing(database: Database) -> None:
    """Cards and events go with the save that loses, and nothing is pruned."""
    save_learner(database, "t", LearnerState(b"1"))
    with pytest.raises(StoreConflict):
        save_learner(database, "t", LearnerState(b"zombie"), registered=Registered([card(1)], [event(1)]))
    assert (read_cards(database), read_events(database)) == ([], [])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep five versions, and ten days of cards."""
    monkeypatch.setattr(pruning, "KEPT_VERSIONS", 5)
    monkeypatch.setattr(pruning, "KEPT_DAYS", 10)


def ensemble(number: int) -> Artifact:
    """Return an ensemble's artifact."""
    return Artifact("ensemble", f"e{number}", f"trees {number}".encode(), number * DAY_MS)


def publish(database: Database, days: range, *, refit_days: int) -> None:
    """Store a snapshot and a policy a day, and an ensemble with a card at each refit, all numbered by their day."""
    artifacts, cards = [], []
    for day in days:
        artifacts += [Artifact(name, version(day), b"", day * DAY_MS) for name in ("scorer", "segment-policy")]
        if day % refit_days == 0:
            artifacts.append(ensemble(day))
            cards.append(card(day, day=day, ensemble=ensemble(day).digest))
    save(database, Registered(cards), *artifacts)


def held(database: Database, name: str) -> list[str]:
    """Return the stored versions of a name."""
    stored = tables.artifacts
    query = select(stored.c.version).where(stored.c.name == name).order_by(stored.c.learned_through_ms)
    with database.reading() as connection:
        return list(connection.execute(query).scalars())


def prune(database: Database, retention: Retention = RETENTION) -> int:
    """Prune once."""
    with database.writing() as connection:
        return prune_artifacts(connection, retention)


@pytest.mark.usefixtures("small")
def test_the_newest_and_the_carded_are_kept(database: Database) -> None:
    """Of forty days: the last five snapshots and policies, carded snapshots of ten days, and what those score with."""
    publish(database, range(1, 41), refit_days=4)
    prune(database)
    assert held(database, "scorer") == [version(day) for day in (32, 36, 37, 38, 39, 40)]
    assert held(database, "segment-policy") == [version(day) for day in range(36, 41)]
    # That of day 28 was in force at day 30, ten days before the newest.
    assert held(database, "ensemble") == ["e28", "e32", "e36", "e40"]
    assert prune(database) == 0
    assert len(read_cards(database)) == 10


@pytest.mark.usefixtures("small")
def test_snapshots_without_a_refit_for_long_keep_their_ensemble(database: Database) -> None:
    """However old its card, the ensemble that the kept snapshots score with stays."""
    publish(database, range(1, 41), refit_days=25)
    prune(database)
    assert held(database, "ensemble") == ["e25"]
    assert held(database, "scorer") == [version(day) for day in range(36, 41)]


@pytest.mark.usefixtures("small")
def test_what_is_pinned_or_in_use_is_kept(database: Database) -> None:
    """A pinned snapshot stays whatever its age, as does an ensemble that no card names yet."""
    publish(database, range(1, 41), refit_days=4)
    put_artifacts(database, [ensemble(2)])
    prune(
        database,
        Retention("scorer", "ensemble", "segment-policy", frozenset({version(3)}), frozenset({ensemble(2).digest})),
    )
    assert version(3) in held(database, "scorer")
    assert "e2" in held(database, "ensemble")
    prune(database)
    assert version(3) not in held(database, "scorer")
    assert "e2" not in held(database, "ensemble")


@pytest.mark.usefixtures("small")
def test_before_there_are_cards_no_ensemble_goes(database: Database) -> None:
    """Snapshots of an earlier build have no cards that would say which ensemble they need."""
    artifacts = [Artifact("scorer", version(day), b"", day * DAY_MS) for day in range(1, 21)]
    put_artifacts(database, [*artifacts, ensemble(1), ensemble(15)])
    save(database, Registered([card(20, day=20, ensemble=ensemble(15).digest)]))
    prune(database)
    assert held(database, "ensemble") == ["e1", "e15"]
    assert len(held(database, "scorer")) == 5


def test_little_is_deleted_at_a_time_and_nothing_of_other_names(database: Database) -> None:
    """A store that was never pruned is caught up with over many saves; names that are not the trainer's stay."""
    publish(database, range(1, 451), refit_days=1000)
    put_artifacts(database, [Artifact("other", f"{number:06d}", b"", 0) for number in range(300)])
    assert [prune(database) for _ in range(4)] == [200, 200, 100, 0]
    assert held(database, "scorer") == [version(day) for day in range(251, 451)]
    assert len(held(database, "other")) == 300


@pytest.mark.usefixtures("small")
def test_a_save_prunes_in_its_own_transaction(database: Database) -> None:
    """What is saved with a retention leaves the store pruned; a save that conflicts prunes nothing."""
    publish(database, range(1, 21), refit_days=50)
    with pytest.raises(StoreConflict):
        save_learner(database, "t", LearnerState(revision=9), registered=Registered(retention=RETENTION))
    assert len(held(database, "scorer")) == 20
    save(database, Registered(retention=RETENTION), Artifact("scorer", version(21), b"", 21 * DAY_MS))
    assert held(database, "scorer") == [version(day) for day in range(17, 22)]
