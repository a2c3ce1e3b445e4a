"""A version's sample: every record of every topic, and a backup of its database."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import NamedTuple

from clv.settings import Settings

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name for path in FOLDER.glob("v*"))
RECORDS = "records.jsonl.gz"
BACKUP = "database.clvbackup"


class FrozenRecord(NamedTuple):
    """A record as it lay in its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def settings_of(data_dir: Path, **changes: str) -> Settings:
    """Return the settings of a deployment that goes on from a sample."""
    return Settings(data_dir=data_dir, partitions=2, horizon_days=30, **changes)  # type: ignore[arg-type]  # text only


def write_records(path: Path, records: list[FrozenRecord]) -> None:
    """Write records, one a line, the same bytes each time."""
    lines = [
        [r.topic, r.partition, r.offset, _text(r.key), _text(r.value), [[n, _text(v)] for n, v in r.headers]]
        for r in records
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_records(version: str) -> list[FrozenRecord]:
    """Return a version's records, topic by topic and partition by partition, in the order of their offsets."""
    found = []
    for line in gzip.decompress((FOLDER / version / RECORDS).read_bytes()).splitlines():
        topic, partition, offset, key, value, headers = json.loads(line)
        named = tuple((name, _bytes(text) or b"") for name, text in headers)
        found.append(FrozenRecord(topic, partition, offset, _bytes(key), _bytes(value), named))
    return found


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
