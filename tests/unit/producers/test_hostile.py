"""Files made to fill the memory or the disk are refused, or read within bounds."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clv.errors import InputError
from producers import rows
from producers.customers import read_customers
from producers.orderlog import LogOptions, read_order_log
from producers.rejects import Rejects

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"customer_id,date,amount\n"
ROW = b"c1,2024-01-01,1.00\n"
COLUMNS = {"customer_id": "customer_id", "occurred_at": "date", "amount": "amount"}


def _read(path: Path) -> list[rows.RowChunk]:
    return list(rows.read_rows(path, COLUMNS, rejects=Rejects()))


def test_a_gzip_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read no further than a multiple of its size; one that is small, or shrinks as logs do, is read."""
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(HEADER + ROW * 200_000))
    assert sum(len(chunk.lines) for chunk in _read(path)) == 200_000
    monkeypatch.setattr(rows, "FREE_CHARACTERS", 1_000_000)
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        _read(path)


@pytest.mark.parametrize("in_header", [True, False], ids=["header", "row"])
def test_a_line_without_an_end_is_refused(tmp_path: Path, *, in_header: bool) -> None:
    """A gigabyte without a line break is not taken into memory, not even to read the header."""
    path = tmp_path / "log.csv.gz"
    endless = b"x" * (rows.MAX_LINE_CHARACTERS + 1)
    path.write_bytes(gzip.compress(endless if in_header else HEADER + endless))
    with pytest.raises(InputError, match="row without an end"):
        rows.read_header(path) if in_header else _read(path)


def test_a_row_over_lines_without_end_is_refused(tmp_path: Path) -> None:
    """Quotes that are opened and closed over every line break make one row of them all."""
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER + b'"' + b'\n","' * 1_500_000)
    with pytest.raises(InputError, match="row without an end"):
        _read(path)


def test_wide_rows_come_in_small_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is bounded by its characters too."""
    monkeypatch.setattr(rows, "CHUNK_CHARACTERS", 10_000)
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER + (b"c" * 4_000 + b",2024-01-01,1.00\n") * 9)
    assert [len(chunk.lines) for chunk in _read(path)] == [3, 3, 3]


def test_a_long_text_in_every_row_is_in_memory_once(tmp_path: Path) -> None:
    """Parquet writes it once, and it is read once: 20,000 rows of a megabyte are not twenty gigabytes."""
    path = tmp_path / "log.parquet"
    count = 20_000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["x" * 1_000_000]))
    table = pa.table({"customer_id": long, "date": ["2024-01-01"] * count, "amount": ["1.00"] * count})
    pq.write_table(table, path, use_dictionary=True, dictionary_pagesize_limit=1 << 24, store_schema=False)
    (chunk,) = _read(path)
    assert len({id(text) for text in chunk.cells["customer_id"]}) == 1
    with pytest.raises(InputError, match="no usable row"):
        read_order_log(path, LogOptions(rejects_path=tmp_path / "rejects.csv"))
    assert (tmp_path / "rejects.csv").stat().st_size < count * 1_200


def test_a_column_that_says_it_is_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that holds lists, a row of which may have any number of elements."""
    path = tmp_path / "log.parquet"
    table = {"customer_id": ["c1"] * 9, "date": ["2024-01-01"] * 9, "amount": ["1.00"] * 9}
    pq.write_table(pa.table(table | {"customer_id": [["c1"]] * 9}), path)
    with pytest.raises(InputError, match="holds lists or records"):
        _read(path)
    pq.write_table(pa.table(table), path)
    monkeypatch.setattr(rows, "MAX_COLUMN_BYTES", 10)
    with pytest.raises(InputError, match="in one row group"):
        _read(path)


@pytest.mark.parametrize(
    "odd", [pa.array([2**52], pa.timestamp("s")), pa.array([timedelta(days=1)])], ids=["year-142-million", "duration"]
)
def test_a_time_that_is_none_rejects_its_row(tmp_path: Path, odd: pa.Array) -> None:
    """The row, not the file, and not with a traceback."""
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"customer_id": ["c1"], "date": odd, "amount": ["1.00"]}), path)
    with pytest.raises(InputError, match="no usable row"):
        read_order_log(path, LogOptions())


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A column's name in broken UTF-8 is said as such."""
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"customer_id": ["c1"], "date": ["2024-01-01"], "amount": ["1.00"]}), path)
    path.write_bytes(path.read_bytes().replace(b"amount", b"amo\xffnt"))
    with pytest.raises(InputError, match="cannot be read"):
        rows.read_header(path)


def test_an_amount_of_many_characters_is_rejected(tmp_path: Path) -> None:
    """Texts of amounts are kept while a file is read: a hundred thousand long ones would fill the memory."""
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER + b"c1,2024-01-01,1." + b"0" * 200 + b"\n" + ROW)
    assert read_order_log(path, LogOptions()).counts.rejected == 1


@pytest.mark.parametrize("odd", ["c\x00", "c\ufffd"])
def test_a_customer_that_is_no_text_is_rejected(tmp_path: Path, odd: str) -> None:
    """As in an order log."""
    path = tmp_path / "customers.csv"
    head = "customer_id,first_purchase_date,last_purchase_date,total_orders,total_spent\n"
    path.write_text(head + "".join(f"{name},2024-01-01,2024-01-02,2,3.00\n" for name in (odd, "c")))
    log = read_customers(path, currency="USD")
    assert (log.rejected, [totals.customer_id for totals in log.customers]) == (1, ["c"])
