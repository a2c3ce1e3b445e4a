"""A database as one file that either kind of database can be made from: a ZIP of one JSON Lines file a table.

All tables are read from one snapshot, while everybody goes on writing. ``manifest.json`` says of which revision of the
tables they are, and has count and SHA-256 of each. What a process says of its own life is left out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import LargeBinary, column, func, insert, select, table

from clv.errors import InputError, StoreError
from storage import tables
from storage.heartbeats import FRESH_MS
from storage.schema import current_revision, is_known_revision, rebuilding, require_current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Table

    from storage.engine import Database

FORMAT = "clv.backup.v1"
LEFT_OUT = ("heartbeats",)
_MANIFEST = "manifest.json"
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table in an archive: its columns, those of them that are bytes, rows, and the SHA-256 of its lines."""

    name: str
    columns: list[str]
    binary: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds; ``revision`` is that of the migrations, ``made_ms`` the clock's epoch milliseconds."""

    format: str
    revision: str
    made_ms: int
    tables: list[TableEntry]

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(entry.rows for entry in self.tables)


def kept_tables() -> list[Table]:
    """Return the tables that an archive holds, by name."""
    return [found for name, found in sorted(tables.metadata.tables.items()) if name not in LEFT_OUT]


def count_kept(database: Database) -> dict[str, int]:
    """Return how many rows each table has that an archive would hold.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        return {
            kept.name: connection.execute(select(func.count()).select_from(kept)).scalar_one() for kept in kept_tables()
        }


def write_archive(database: Database, path: Path, *, now_ms: int, observe: Callable[[str, int], None]) -> Manifest:
    """Write a database into a new file, readable by its owner alone; it has its name only once it is complete.

    Parameters
    ----------
    now_ms
        When this is, by the clock.
    observe
        Told of each table's name, and from time to time how many of its rows are written.

    Raises
    ------
    InputError
        When the file exists or cannot be written.
    StoreUnavailable
        When a retry may help.
    StoreError
        When the tables are not this build's.

    Notes
    -----
    In bounded memory. SQLite's log of writes grows as long as it takes.
    """
    require_current(database)
    if path.exists():
        raise InputError(f"{path} exists already", "name a new file: a backup replaces none")
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch(mode=0o600)
        with database.snapshot() as connection, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
            entries = [_write_table(connection, file, kept, observe) for kept in kept_tables()]
            manifest = Manifest(FORMAT, current_revision(connection), now_ms, entries)
            file.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))
        unfinished.replace(path)
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror}") from problem
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


def _write_table(
    connection: Connection, file: zipfile.ZipFile, kept: Table, observe: Callable[[str, int], None]
) -> TableEntry:
    digest, count = hashlib.sha256(), 0
    query = select(kept).order_by(*kept.primary_key).execution_options(yield_per=_CHUNK)
    observe(kept.name, 0)
    with file.open(f"{kept.name}.jsonl", "w", force_zip64=True) as out, connection.execute(query) as found:
        for rows in found.partitions(_CHUNK):
            lines = b"".join(json.dumps([*map(_written, row)], ensure_ascii=False).encode() + b"\n" for row in rows)
            digest.update(lines)
            out.write(lines)
            count += len(rows)
            observe(kept.name, count)
    binary = [found.name for found in kept.columns if isinstance(found.type, LargeBinary)]
    return TableEntry(kept.name, [found.name for found in kept.columns], binary, count, digest.hexdigest())


def _written(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return int(value) if isinstance(value, Decimal) else value


def check_archive(path: Path, *, observe: Callable[[str, int], None]) -> Manifest:
    """Read an archive whole, compare every digest, and return what it holds.

    Raises
    ------
    InputError
        When it is none, is damaged, or was written by a build whose tables this one does not know.
    """
    manifest = read_manifest(path)
    with _opened(path) as file:
        for entry in manifest.tables:
            digest, count = hashlib.sha256(), 0
            observe(entry.name, 0)
            for lines in _chunks(file, entry):
                digest.update(b"".join(lines))
                count += len(lines)
                observe(entry.name, count)
            if (digest.hexdigest(), count) != (entry.sha256, entry.rows):
                raise InputError(f"{path} is damaged: {entry.name} is not what was written", "take another backup")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return what an archive says that it holds.

    Raises
    ------
    InputError
        When it is none, or of a build that this one does not know.
    """
    with _opened(path) as file:
        try:
            manifest = msgspec.json.decode(file.read(_MANIFEST), type=Manifest)
        except (KeyError, msgspec.MsgspecError) as problem:
            raise InputError(f"{path} is no backup of this product") from problem
    if manifest.format != FORMAT or not is_known_revision(manifest.revision):
        raise InputError(
            f"{path} has form {manifest.format} and tables of revision {manifest.revision}, unknown to this build",
            "restore it with the build that wrote it, or a newer one",
        )
    return manifest


def restore_archive(
    url: str, path: Path, *, replace: bool, now_ms: int, observe: Callable[[str, int], None]
) -> Manifest:
    """Make a database from an archive, all or nothing; an older build's is brought up to this build's tables.

    Parameters
    ----------
    url
        Of an empty database; an SQLite file is made. ``check_archive`` first: the digests are not compared here.
    replace
        Drop what the database holds.
    now_ms
        When this is, by the clock.

    Raises
    ------
    InputError
        When the archive is unreadable.
    StoreError
        When the database holds anything and ``replace`` is not given, or a role was seen there in the last seconds.
    StoreUnavailable
        When a retry may help.
    """
    manifest = read_manifest(path)

    def check(connection: Connection) -> None:
        _require_no_roles(connection, now_ms)
        if not replace:
            _require_empty(connection)

    with rebuilding(url, manifest.revision, check=check) as connection, _opened(path) as file:
        for entry in manifest.tables:
            _read_table(connection, file, entry, observe)
    return manifest


def _require_no_roles(connection: Connection, now_ms: int) -> None:
    beats = tables.heartbeats
    if not connection.dialect.has_table(connection, beats.name):
        return
    living = connection.execute(select(beats.c.role).where(beats.c.at_ms > now_ms - FRESH_MS)).scalars().all()
    if living:
        raise StoreError(
            f"roles are running on this database: {', '.join(sorted(set(living)))}",
            f"stop them, and wait {FRESH_MS // 1000} seconds",
        )


def _require_empty(connection: Connection) -> None:
    for kept in kept_tables():
        if connection.dialect.has_table(connection, kept.name) and connection.execute(select(kept).limit(1)).first():
            raise StoreError(
                f"the database is not empty: it has {kept.name}", "name an empty one, or say --replace to lose it"
            )


def _read_table(
    connection: Connection, file: zipfile.ZipFile, entry: TableEntry, observe: Callable[[str, int], None]
) -> None:
    # By the archive's columns, not by this build's: its tables may be older.
    statement = insert(table(entry.name, *(column(name) for name in entry.columns)))
    binary, count = set(entry.binary), 0
    observe(entry.name, 0)
    for lines in _chunks(file, entry):
        rows = [dict(zip(entry.columns, json.loads(line), strict=True)) for line in lines]
        for row in rows:
            for name in binary:
                row[name] = None if row[name] is None else base64.b64decode(row[name])
        connection.execute(statement, rows)
        count += len(rows)
        observe(entry.name, count)


def _chunks(file: zipfile.ZipFile, entry: TableEntry) -> Iterator[list[bytes]]:
    try:
        with file.open(f"{entry.name}.jsonl") as lines:
            while chunk := list(islice(lines, _CHUNK)):
                yield chunk
    except (KeyError, zipfile.BadZipFile) as problem:
        raise InputError(f"the backup is damaged: {entry.name} cannot be read", "take another backup") from problem


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        file = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, zipfile.BadZipFile) as problem:
        raise InputError(f"{path} is no backup of this product, or is damaged") from problem
    with file:
        yield file
