"""Rows into a file, streamed: CSV, plain or gzipped, or Parquet; whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from clv.errors import InputError
from clv.features import FEATURE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    Write = Callable[[BinaryIO, Sequence[str], Iterable[dict[str, Any]]], None]

_GROUP_ROWS = 10_000


def write_rows(out: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows to a file of the kind that its ending says; the file appears when it is complete.

    Parameters
    ----------
    out
        Ends in .csv, .csv.gz or .parquet; an existing file is replaced.
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


def write_csv(file: BinaryIO, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV in UTF-8 with a header line; nothing is the empty text."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text.flush()
    text.detach()


def _writer(out: Path) -> Write:
    if out.name.endswith(".csv"):
        return write_csv
    if out.name.endswith(".csv.gz"):
        return _write_gzip
    if out.name.endswith(".parquet"):
        return _write_parquet
    raise InputError(f"{out} has another ending", "give .csv, .csv.gz or .parquet, or - for CSV on standard output")


def _write_gzip(file: BinaryIO, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    # Neither name nor time in the header: the same rows give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        write_csv(packed, columns, rows)  # type: ignore[arg-type]  # has all of BinaryIO that is used


def _write_parquet(file: BinaryIO, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    remaining = iter(rows)
    group = list(islice(remaining, _GROUP_ROWS))
    schema = pa.schema([(column, _kind(column, group)) for column in columns])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            group = list(islice(remaining, _GROUP_ROWS))


def _kind(column: str, group: Sequence[dict[str, Any]]) -> pa.DataType:
    """Return a column's type: numbers are never missing but in features, so the first rows tell."""
    import pyarrow as pa

    first = next((row[column] for row in group if row[column] is not None), None)
    if column in FEATURE_NAMES and (first is None or isinstance(first, float)):
        return pa.float64()
    return pa.int64() if isinstance(first, int) else pa.float64() if isinstance(first, float) else pa.string()


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
