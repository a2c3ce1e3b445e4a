"""Order logs and aggregated customers in files: CSV, gzip and Parquet, bent and broken."""

from __future__ import annotations

import csv
import gzip
import io
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from clv.errors import InputError
from clv.events import MAX_ID_LENGTH
from clv.money import MAX_AMOUNT_MINOR
from producers.customers import read_customers
from producers.files import CUSTOMER_COLUMNS, ORDER_LOG_COLUMNS
from producers.orderlog import LogOptions, read_order_log
from tests.fuzz.mutate import AMOUNTS, TIMES, broken, odd_text
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_MOST_EVENTS = 200
ORDER = ("c1", "o1", "2024-03-01T12:00:00Z", "19.90", "USD", "shoes", "search", "brand", "1.25", "")
CUSTOMER = ("c1", "2024-01-01", "2024-03-31", "4", "100.00", "25.00", "search", "brand", "0.25", "0.1")


class File(NamedTuple):
    """A file's name and bytes, and which reader it is meant for."""

    name: str
    content: bytes


def draw(rng: Random) -> File:
    """Return a file of one of the two schemas in one of the forms."""
    schema = rng.choice(["orders", "customers"])
    header, row = (ORDER_LOG_COLUMNS, ORDER) if schema == "orders" else (CUSTOMER_COLUMNS, CUSTOMER)
    names = [_cell(rng, name, 0.02) for name in header]
    rows = [[_cell(rng, cell, 0.12) for cell in row] for _ in range(rng.randint(0, 4))]
    form = rng.choices(["csv", "csv.gz", "parquet"], [6, 2, 2])[0]
    content = _parquet(rng, names, rows) if form == "parquet" else _csv(rng, [names, *rows])
    if rng.random() < (0.5 if form == "parquet" else 0.3):
        content = broken(rng, content)
    if form == "csv.gz":
        content = gzip.compress(content, compresslevel=1)
        if rng.random() < 0.3:
            content = broken(rng, content)
    return File(f"{schema}.{form}", content)


def _cell(rng: Random, cell: str, odds: float) -> str:
    if rng.random() >= odds:
        return cell
    return rng.choice([rng.choice(AMOUNTS), rng.choice(TIMES), odd_text(rng), "", "nan", "-" + cell])


def _csv(rng: Random, rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=rng.choice(",,,;\t|"))
    for row in rows:
        cells = row if rng.random() < 0.95 else row[: rng.randint(0, len(row))] + ["more"] * rng.randint(0, 3)
        writer.writerow(cells)
    encoding = rng.choice(["utf-8"] * 6 + ["utf-16", "utf-8-sig"])
    return text.getvalue().encode(encoding, "surrogatepass")


def _parquet(rng: Random, names: list[str], rows: list[list[str]]) -> bytes:
    columns = [[_valid(row[place]) for row in rows] for place in range(len(names))]
    arrays = [_column(rng, column) for column in columns]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, names=[_valid(name) for name in names]), sink)
    return sink.getvalue()


def _column(rng: Random, cells: list[str]) -> pa.Array:
    kind = rng.random()
    if kind < 0.7:
        return pa.array(cells, pa.string())
    if kind < 0.8:
        return pa.array([cell.encode() for cell in cells], pa.binary())
    if kind < 0.85:
        return pa.array([[cell] for cell in cells], pa.list_(pa.string()))
    if kind < 0.9:
        return pa.array([rng.choice([None, float("nan"), 1e300, 5.0]) for _ in cells], pa.float64())
    if kind < 0.95:
        return pa.array(
            [rng.choice([None, 0, -(2**52), 2**52]) for _ in cells], pa.timestamp(rng.choice(["s", "us", "ns"]))
        )
    return pa.array([rng.choice([None, 0, 2**63 - 1]) for _ in cells], pa.int64())


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def read(folder: Path, file: File) -> str:
    """Read a file to its end: events within all bounds, or one line that says why not."""
    path = folder / file.name
    path.write_bytes(file.content)
    try:
        if file.name.startswith("orders"):
            log = read_order_log(path, LogOptions(rejects_path=folder / "rejects.csv"))
        else:
            log = read_customers(path, currency="USD", rejects_path=folder / "rejects.csv")  # type: ignore[assignment]
    except InputError as problem:
        return _refused(problem)
    for _, event in zip(range(_MOST_EVENTS), log, strict=False):
        assert 0 < len(event.customer_id) <= MAX_ID_LENGTH
        assert "\x00" not in event.customer_id
        assert abs(getattr(event, "total_minor", 0)) < MAX_AMOUNT_MINOR
    return "read"


def _refused(problem: InputError) -> str:
    assert problem.hint, "it says what to do"
    return "refused"


@contextmanager
def files(folder: Path) -> Iterator[Target]:
    """Fuzz the readers of files."""
    yield Target(draw, partial(read, folder))
