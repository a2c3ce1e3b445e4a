"""What ``clv doctor`` looks at: each check looks at one thing and reports it in plain words; none changes anything."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from clv.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clv.settings import Settings
    from storage.engine import Database

_LOW_BYTES = 2**30
_FULL_BYTES = 100 * 2**20
_MAX_SKEW_SECONDS = 5.0
_NEEDS = {"topics": {"broker"}, "lag": {"broker", "topics"}}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    ``state``: ok; note, when it works but somebody should know; wrong, when something cannot work before it is mended.
    """

    subject: str
    state: Literal["ok", "note", "wrong"]
    says: str
    hint: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Make every check; one that fails is a finding, never an exception of ours."""
    checks: dict[str, Callable[[Settings], Iterator[Finding]]] = {
        "python": check_python,
        "data directory": check_data_directory,
        "clock": check_clock,
        "database": check_database,
        "broker": check_broker,
        "topics": check_topics,
        "lag": check_lag,
    }
    findings: list[Finding] = []
    for subject, check in checks.items():
        if _NEEDS.get(subject, set()) & {found.subject for found in findings if found.state == "wrong"}:
            continue  # it could only say the same again
        try:
            findings += check(settings)
        except ScorerError as problem:
            findings.append(Finding(subject, "wrong", str(problem), problem.hint))
    return findings


def as_dicts(findings: list[Finding]) -> list[dict[str, str]]:
    """Return the findings as plain data."""
    return [asdict(finding) for finding in findings]


def check_python(_settings: Settings) -> Iterator[Finding]:
    """Are the interpreter and every declared dependency there."""
    missing = []
    for requirement in importlib.metadata.requires("clv-scorer") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    version = ".".join(map(str, sys.version_info[:3]))
    if missing:
        yield Finding("python", "wrong", f"not installed: {', '.join(missing)}", "make setup")
    else:
        yield Finding("python", "ok", f"Python {version}, every dependency is installed")


def check_data_directory(settings: Settings) -> Iterator[Finding]:
    """Can the data directory be written to, and is there room."""
    folder = _nearest_existing(settings.data_dir.absolute())
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as problem:
        yield Finding(
            "data directory", "wrong", f"{folder} cannot be written to: {problem.strerror}", "set CLV_DATA_DIR"
        )
        return
    says = f"{settings.data_dir} is writable, {free / 2**30:.1f} GiB free"
    state: Literal["ok", "note", "wrong"] = "wrong" if free < _FULL_BYTES else "note" if free < _LOW_BYTES else "ok"
    yield Finding("data directory", state, says, "" if state == "ok" else "make room, or set CLV_DATA_DIR elsewhere")


def check_clock(_settings: Settings) -> Iterator[Finding]:
    """Is the clock plausible."""
    now = datetime.now(UTC)
    says = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year < 2025:
        yield Finding("clock", "wrong", f"the clock says {says}", "set the machine's clock: idle Ticks carry its time")
    else:
        yield Finding("clock", "ok", says)


def check_database(settings: Settings) -> Iterator[Finding]:
    """Can the database be reached, and has it the tables of this build."""
    from storage.engine import Database
    from storage.schema import is_current

    database = Database(settings.sql_url)
    if database.file is not None and not database.file.exists():
        yield Finding("database", "note", f"{database.location} does not exist yet", "the first `clv up` makes it")
        return
    try:
        is_up_to_date = is_current(database)
        skew_seconds = 0.0 if database.is_sqlite else _skew_seconds(database)
    finally:
        database.close()
    if abs(skew_seconds) > _MAX_SKEW_SECONDS:
        yield Finding(
            "clock", "note", f"the database's clock is {skew_seconds:+.0f} s from ours", "synchronise both by NTP"
        )
    if is_up_to_date:
        yield Finding("database", "ok", f"{database.location} answers, its tables are up to date")
    else:
        says = f"{database.location} answers, its tables are not up to date"
        yield Finding("database", "note", says, "the sink brings them up to date when it starts")


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Does the broker answer, and what can it do."""
    from streams.admin import admin_client
    from streams.broker import capabilities
    from streams.clients import bootstrap

    with admin_client(settings) as admin:
        brokers = len(admin.describe_cluster()["brokers"])
    if capabilities(settings).is_durable:
        yield Finding("broker", "ok", f"Kafka answers at {bootstrap(settings)}, {brokers} broker(s)")
    else:
        says = f"the embedded broker answers at {bootstrap(settings)}; it keeps nothing when it stops"
        yield Finding("broker", "ok", says)


def check_topics(settings: Settings) -> Iterator[Finding]:
    """Has every topic its partitions and policy."""
    from streams.topics import topic_problems

    problems = asyncio.run(topic_problems(settings))
    missing = [problem.topic for problem in problems if problem.is_missing]
    if missing:
        yield Finding("topics", "wrong", f"missing: {', '.join(missing)}", "clv topics --create")
    for problem in problems:
        if not problem.is_missing:
            yield Finding("topics", "wrong" if problem.is_fatal else "note", str(problem), problem.mend)
    if not problems:
        yield Finding("topics", "ok", "every topic is there, as it should be")


def check_lag(settings: Settings) -> Iterator[Finding]:
    """How far are the workers behind the orders."""
    from clv.topics import ORDERS
    from streams.admin import group_lag
    from streams.topics import orders_group, topic_ids

    found = asyncio.run(topic_ids(settings))
    if ORDERS not in found:
        return
    lag = group_lag(settings, group=orders_group(settings, found[ORDERS]), topic=ORDERS)
    behind = {partition: count for partition, count in lag.items() if count > 0}
    if behind:
        says = f"the workers have {sum(behind.values()):,} orders records to read: {behind} by partition"
        yield Finding("lag", "note", says, "falls while workers run; if it does not, look at their log")
    else:
        yield Finding("lag", "ok", "the workers have read every orders record")


def _skew_seconds(database: Database) -> float:
    with database.reading() as connection:
        there = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
    return float(there) - datetime.now(UTC).timestamp()


def _nearest_existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
