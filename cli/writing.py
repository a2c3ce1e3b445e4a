"""Rows into a file, streamed: CSV, plain or gzipped, or Parquet; whole or not at all.

Text that a spreadsheet would run as a formula gets an apostrophe before it in CSV, in text columns alone: numbers,
money and Base64 stay as they are, and Parquet, which no spreadsheet runs, too.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from storage.export import Kind

    Columns = Mapping[str, Kind]
    Write = Callable[[BinaryIO, Columns, Iterable[dict[str, Any]]], None]

_GROUP_ROWS = 10_000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_rows(out: Path, columns: Columns, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows to a file of the kind that its ending says; the file appears when it is complete.

    Parameters
    ----------
    out
        Ends in .csv, .csv.gz or .parquet; an existing file is replaced.
    columns
        Name and kind of each; what is ``Decimal`` or ``bytes`` comes as text all the same.
    rows
        Each has a value for each column; taken one by one.

    Raises
    ------
    InputError
        When the ending is another one, or the file cannot be written.
    """
    write = _writer(out)
    with _appearing(out) as file:
        write(file, columns, rows)


def check_ending(out: Path) -> None:
    """Refuse early, before the work, a file that ``write_rows`` would refuse.

    Raises
    ------
    InputError
        When its ending is none that is written.
    """
    _writer(out)


def write_csv(file: BinaryIO, columns: Columns, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV in UTF-8 with a header line; nothing is the empty text, a formula is defused."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(_Lines(text))
    writer.writerow(columns)
    writer.writerows([_cell(row[name], kind) for name, kind in columns.items()] for row in rows)
    text.flush()
    text.detach()


class _Lines:
    """Takes rows that end in CR LF, so that the csv module quotes lone carriage returns, and ends them in LF."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def write(self, row: str) -> int:
        return self._text.write(row.removesuffix("\r\n") + "\n")


def _cell(value: Any, kind: Kind) -> Any:
    """Return what a cell holds; the spreadsheets' own mark for text goes before what they would run.

    Examples
    --------
    >>> _cell("=1+2", str), _cell("-0.05", Decimal), _cell(-1, int), _cell("007", str)
    ("'=1+2", '-0.05', -1, '007')
    """
    is_formula = kind is str and isinstance(value, str) and value.startswith(_FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def _writer(out: Path) -> Write:
    if out.name.endswith(".csv"):
        return write_csv
    if out.name.endswith(".csv.gz"):
        return _write_gzip
    if out.name.endswith(".parquet"):
        return _write_parquet
    raise InputError(f"{out} has another ending", "give .csv, .csv.gz or .parquet, or - for CSV on standard output")


def _write_gzip(file: BinaryIO, columns: Columns, rows: Iterable[dict[str, Any]]) -> None:
    # Neither name nor time in the header: the same rows give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        write_csv(packed, columns, rows)  # type: ignore[arg-type]  # has all of BinaryIO that is used


def _write_parquet(file: BinaryIO, columns: Columns, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), Decimal: pa.string(), bytes: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(remaining, _GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


@contextlib.contextmanager
def _appearing(out: Path) -> Iterator[BinaryIO]:
    """Give a file beside ``out`` that takes its place at the end, or vanishes when the block raises."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                yield file
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except OSError as problem:
        raise InputError(f"{out} cannot be written: {problem.strerror or problem}", "is its folder there?") from problem
