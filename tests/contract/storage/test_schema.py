"""Migrations bring any database to the declared tables, and back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from clv.errors import StoreError
from storage.artifacts import Artifact, get_artifact
from storage.cards import Registered, read_cards, read_events
from storage.engine import Database
from storage.learning import LearnerState, load_learner, save_learner
from storage.schema import downgrade, require_current, upgrade
from storage.tables import metadata
from tests.contract.storage.rows import insert_row, rows_of
from tests.contract.storage.test_cards import card, event

API_TABLES = {"totals", "segment_moves", "feeds", "activity", "heartbeats", "api_keys", "letter_replays"}
ADS_TABLES = {
    *("audience_customers", "audiences", "audience_members", "ad_operations"),
    *("suppressions", "conversions", "campaign_days", "budget_changes", "segment_budgets"),
}


def _table_names(url: str) -> set[str]:
    database = Database(url)
    with database.reading() as connection:
        names = set(inspect(connection).get_table_names())
    database.close()
    return names


def test_migrations_make_the_declared_tables(database: Database) -> None:
    """A migrated database differs in nothing from the tables that the code declares."""
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_up_down_and_up_again(url: str) -> None:
    """The migrations go both ways, and a second upgrade changes nothing."""
    expected = set(metadata.tables) | {"alembic_version"}
    upgrade(url)
    upgrade(url)
    assert expected == _table_names(url)
    downgrade(url)
    assert {"alembic_version"} == _table_names(url)
    upgrade(url)
    assert expected == _table_names(url)


def test_several_start_at_once(url: str) -> None:
    """Processes that all migrate an empty database at their start do not disturb each other."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(upgrade, [url] * 4))
    assert results == [None] * 4
    assert set(metadata.tables) < _table_names(url)


def test_a_newer_database_is_refused(url: str, database: Database) -> None:
    """A database that a newer build has migrated is left alone, with a message that says so."""
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="revision 9999, which this build does not know"):
        upgrade(url)


def test_what_was_stored_before_cards_stays(url: str, database: Database) -> None:
    """Going back to the tables before cards and up again loses cards and events, and nothing else."""
    given = Artifact("scorer", "000001-a", b"weights", 1)
    registered = Registered([card(1)], [event(1)])
    saved = save_learner(database, "trainer", LearnerState(b"state"), artifacts=[given], registered=registered)
    assert (len(read_cards(database)), len(read_events(database))) == (1, 1)
    downgrade(url, "0001")
    since = {"model_cards", "model_events", *API_TABLES, *ADS_TABLES}
    assert set(metadata.tables) - since == _table_names(url) - {"alembic_version"}
    with pytest.raises(StoreError, match="an earlier build's") as refused:
        require_current(database)
    assert "clv up" in refused.value.hint
    upgrade(url)
    require_current(database)
    assert (read_cards(database), read_events(database)) == ([], [])
    assert saved == load_learner(database, "trainer")
    assert get_artifact(database, given.digest) == given.payload


def test_without_cards_the_regressions_column_keeps_its_values(url: str, database: Database) -> None:
    """One step back from cards takes cards and events alone; a step up leaves what the regression said."""
    keys = {"customers": "customer_id", "scores": "event_id", "training_examples": "event_id"}
    save_learner(database, "trainer", LearnerState(b"state"), registered=Registered([card(1)], [event(1)]))
    with database.writing() as connection:
        for table, key in keys.items():
            insert_row(connection, table, {key: "a", "glm_minor": 9.25})
        given = {table: rows_of(connection, table, key) for table, key in keys.items()}
    downgrade(url, "0002")
    with database.reading() as connection:
        assert given == {table: rows_of(connection, table, key) for table, key in keys.items()}
    upgrade(url)
    with database.reading() as connection:
        assert given == {table: rows_of(connection, table, key) for table, key in keys.items()}
    assert all(row["glm_minor"] == 9.25 for rows in given.values() for row in rows)
    assert (read_cards(database), read_events(database)) == ([], [])
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_regressions_column_comes_and_goes_with_rows_in_place(url: str) -> None:
    """Rows of a database without it keep everything and get 0; going back loses that column alone."""
    keys = {"customers": "customer_id", "scores": "event_id", "training_examples": "event_id"}
    upgrade(url)
    database = Database(url)
    downgrade(url, "0001")
    with database.writing() as connection:
        for table, key in keys.items():
            for name in ("a", "b"):
                insert_row(connection, table, {key: name, "btyd_minor": 12.5, "clv_minor": 7})
        before = {table: rows_of(connection, table, key) for table, key in keys.items()}
    assert all("glm_minor" not in row for rows in before.values() for row in rows)

    upgrade(url)

    with database.writing() as connection:
        after = {table: rows_of(connection, table, key) for table, key in keys.items()}
        for table in keys:
            connection.execute(text(f"UPDATE {table} SET glm_minor = 9.25"))
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert after == {table: [row | {"glm_minor": 0.0} for row in rows] for table, rows in before.items()}

    downgrade(url, "0001")

    with database.reading() as connection:
        assert before == {table: rows_of(connection, table, key) for table, key in keys.items()}
    database.close()
