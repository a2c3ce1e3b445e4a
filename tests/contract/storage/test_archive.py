"""A database in a file: whole, from one moment, for either kind of database, and never half restored."""

from __future__ import annotations

import json
import stat
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from clv.errors import InputError, StoreError
from storage import archive
from storage.api_keys import create_key
from storage.engine import Database
from storage.heartbeats import beat
from storage.learning import LearnerState, save_learner
from storage.schema import is_current
from storage.sinking import load_positions, write_batch
from tests import postgres_server
from tests.acceptance.dumps import dump
from tests.contract.storage.outputs import OutputTopics, announcement, budget_signal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


NOW_MS = 1_714_557_600_000
EVERY_TABLE = [kept.name for kept in archive.kept_tables()]


def silent(_table: str, _rows: int) -> None:
    """Show nothing."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a second database without tables, of each kind too."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty' / 'other.db'}"
        return
    server = request.getfixturevalue("postgres_url")
    name = f"other_{time.monotonic_ns()}"
    yield postgres_server.create_database(server, name)
    postgres_server.drop_database(server, name)


def fill(database: Database) -> None:
    """Put rows in: text of many scripts, bytes, floats at their limits, large sums, unknown values."""
    outputs = OutputTopics()
    for number in range(2_500):
        clv = 2**60 if number < 3 else number
        outputs.score(f"e{number}", f"ключ-{number}", clv_minor=clv, segment=None, churn_probability=0.1 + number / 7)
    outputs.change("s1", "ключ-1")
    outputs.example("x1", "ключ-1")
    outputs.dead_letter(1, key=None)
    outputs.state(b"\x00partition", b"\x00\xff")
    outputs.add("clv.budget-signals.v1", b"High-CLV", budget_signal("b1"))
    outputs.add("clv.models.v1", b"online", announcement("000001-a"))
    write_batch(database, outputs.batch())
    save_learner(database, "trainer", LearnerState(bytes(range(256)), {0: 7}, "id"))
    create_key(database, "team", ["read"])


def held(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return what every table of a database holds that is kept."""
    database = Database(url)
    try:
        assert is_current(database)
        return dump(database, EVERY_TABLE)
    finally:
        database.close()


def test_what_is_restored_is_what_was_there(database: Database, url: str, other_url: str, tmp_path: Path) -> None:
    """Every row of every table comes back on an empty database of either kind; the file is for its owner alone."""
    fill(database)
    file = tmp_path / "backups" / "a.clvbackup"
    written = archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)
    assert archive.check_archive(file, observe=silent) == written
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    archive.restore_archive(other_url, file, replace=False, now_ms=NOW_MS, observe=silent)
    assert held(other_url) == held(url)
    assert written.rows == sum(archive.count_kept(database).values()) > 5_000


def test_a_backup_is_of_one_moment(database: Database, tmp_path: Path) -> None:
    """What is stored while the backup is taken is in no table of it."""
    fill(database)

    def interfere(name: str, count: int) -> None:
        if name == "api_keys" and count:
            later = OutputTopics()
            later.score("later", "later")
            write_batch(database, later.batch(_stand(database)))

    before = dump(database, EVERY_TABLE)
    file = tmp_path / "a.clvbackup"
    archive.write_archive(database, file, now_ms=NOW_MS, observe=interfere)
    assert dump(database, EVERY_TABLE) != before
    archive.restore_archive(f"sqlite:///{tmp_path / 'b.db'}", file, replace=False, now_ms=NOW_MS, observe=silent)
    assert held(f"sqlite:///{tmp_path / 'b.db'}") == before


def _stand(database: Database) -> Any:
    return load_positions(database, ["clv.scores.v1"])


def test_a_backup_of_earlier_tables_comes_up_to_date(
    database: Database, url: str, other_url: str, tmp_path: Path
) -> None:
    """A file that a build without the ads' tables wrote is restored into tables of that build, and migrated."""
    fill(database)
    file, older = tmp_path / "a.clvbackup", tmp_path / "older.clvbackup"
    archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)
    _as_of_0003(file, older)
    archive.restore_archive(other_url, older, replace=False, now_ms=NOW_MS, observe=silent)
    restored, expected = held(other_url), held(url)
    assert restored["customers"] == expected["customers"]
    assert (restored["learner"], restored["api_keys"]) == (expected["learner"], [])
    assert restored["totals"]  # made from the customers by the migration


def _as_of_0003(file: Path, older: Path) -> None:
    """Write the backup as the build before the API's tables would have, without what has other columns since."""
    kept: tuple[str, ...] = (
        "artifacts",
        "budget_signals",
        "customer_states",
        "customers",
        "learner",
        "metrics",
        "model_cards",
    )
    kept += ("model_events", "models", "partitions", "replay_positions", "scores", "sink_offsets", "training_examples")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(older, "w") as target:
        manifest = json.loads(source.read("manifest.json")) | {"revision": "0003"}
        manifest["tables"] = [entry for entry in manifest["tables"] if entry["name"] in kept]
        for name in kept:
            target.writestr(f"{name}.jsonl", source.read(f"{name}.jsonl"))
        target.writestr("manifest.json", json.dumps(manifest))


def test_a_damaged_or_foreign_file_is_refused(database: Database, tmp_path: Path) -> None:
    """Another digit in a row, a file of a newer build, or something else altogether: said before anything is done."""
    fill(database)
    file = tmp_path / "a.clvbackup"
    archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)
    with zipfile.ZipFile(file) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    damaged = tmp_path / "damaged.clvbackup"
    _zip(damaged, parts | {"scores.jsonl": parts["scores.jsonl"].replace(b"10000", b"10001", 1)})
    with pytest.raises(InputError, match="damaged: scores"):
        archive.check_archive(damaged, observe=silent)
    newer = tmp_path / "newer.clvbackup"
    _zip(newer, parts | {"manifest.json": parts["manifest.json"].replace(b'"revision": "0', b'"revision": "9')})
    with pytest.raises(InputError, match="unknown to this build"):
        archive.check_archive(newer, observe=silent)
    (tmp_path / "text").write_text("no ZIP")
    with pytest.raises(InputError, match="no backup"):
        archive.check_archive(tmp_path / "text", observe=silent)
    with pytest.raises(InputError, match="exists already"):
        archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)


def _zip(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in parts.items():
            target.writestr(name, content)


def test_a_database_that_holds_anything_is_not_touched(database: Database, url: str, tmp_path: Path) -> None:
    """Without --replace nothing is dropped, with it everything; a role that was just seen forbids either."""
    file = tmp_path / "empty.clvbackup"
    archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)
    fill(database)
    before = held(url)
    with pytest.raises(StoreError, match="not empty"):
        archive.restore_archive(url, file, replace=False, now_ms=NOW_MS, observe=silent)
    beat(database, "sink", "s1", started_ms=0, figures={})
    with pytest.raises(StoreError, match="running on this database: sink"):
        archive.restore_archive(url, file, replace=True, now_ms=round(time.time() * 1000), observe=silent)
    assert held(url) == before
    archive.restore_archive(url, file, replace=True, now_ms=round(time.time() * 1000) + 60_000, observe=silent)
    assert not any(held(url).values())


def test_a_restore_that_fails_changes_nothing(database: Database, url: str, tmp_path: Path) -> None:
    """When it breaks in the middle, the database has what it had before."""
    fill(database)
    before = held(url)
    file = tmp_path / "a.clvbackup"
    archive.write_archive(database, file, now_ms=NOW_MS, observe=silent)

    def breaking(name: str, rows: int) -> None:
        if name == "scores" and rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.restore_archive(url, file, replace=True, now_ms=NOW_MS, observe=breaking)
    assert held(url) == before
