"""Rows of CSV (plain or gzip) and Parquet files as text, a chunk at a time, with the line each came from.

Everything is read as text: ids keep their leading zeros and amounts their exact decimals.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from producers.rejects import Rejects

CHUNK_ROWS = 50_000
MAX_LINE_CHARACTERS = 1_048_576
MAX_ROW_CHARACTERS = 4 * MAX_LINE_CHARACTERS
CHUNK_CHARACTERS = 32 * 1_048_576
"""A chunk ends here too, however few rows it has."""
FREE_CHARACTERS = 64 * 1_048_576
MAX_UNPACKED_RATIO = 200
"""How much larger than itself a gzip beyond ``FREE_CHARACTERS`` may be: order logs shrink to a tenth or so."""
MAX_COLUMN_BYTES = 1 << 30
"""Of one column in one row group, unpacked."""
_DELIMITERS = ",;\t|"
_UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException, UnicodeError)


@dataclass(frozen=True, slots=True)
class RowChunk:
    """Some rows: ``lines`` are their line numbers, ``cells`` maps each field to its texts, all of one length."""

    lines: list[int]
    cells: dict[str, list[str]]


def is_parquet(path: Path) -> bool:
    """Say whether the file's name makes it Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def read_header(path: Path, *, encoding: str = "utf-8-sig") -> list[str]:
    """Return the column names.

    Raises
    ------
    InputError
        When the file is missing, empty or unreadable.
    """
    with _readable(path):
        if is_parquet(path):
            return list(pq.read_schema(path).names)
        with _open_text(path, encoding) as text:
            first = next(_BoundedLines(path, text), "")
            header = [name.strip() for name in next(csv.reader([first], delimiter=_delimiter(first)), [])]
    if not any(header):
        raise InputError(f"{path} is empty", "the first line must name the columns")
    return header


def read_rows(
    path: Path,
    columns: Mapping[str, str],
    *,
    rejects: Rejects,
    encoding: str = "utf-8-sig",
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[RowChunk]:
    """Read the mapped columns; rows with the wrong number of cells are rejected, blank lines are passed over.

    Parameters
    ----------
    columns
        Field → column name, as ``producers.mapping.recognise`` returns it.

    Raises
    ------
    InputError
        When the file cannot be read to its end.
    """
    with _readable(path):
        if is_parquet(path):
            yield from _parquet_rows(path, columns, chunk_rows)
        else:
            yield from _csv_rows(path, columns, rejects, encoding, chunk_rows)


def file_digest(path: Path) -> str:
    """Return a digest of the file's bytes, 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    with _readable(path), path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _csv_rows(
    path: Path, columns: Mapping[str, str], rejects: Rejects, encoding: str, chunk_rows: int
) -> Iterator[RowChunk]:
    header = read_header(path, encoding=encoding)
    places = {field: header.index(column) for field, column in columns.items()}
    with _open_text(path, encoding) as text:
        bounded = _BoundedLines(path, text)
        delimiter = _delimiter(next(bounded, ""))
        reader = csv.reader(bounded, delimiter=delimiter)
        lines: list[int] = []
        rows: list[list[str]] = []
        chunk_began = 0
        for line, row in _numbered(reader, rejects, bounded):
            if len(row) != len(header):
                cells = {field: row[place] for field, place in places.items() if place < len(row)}
                rejects.add(line, "bad_shape", f"{len(row)} cells where the header has {len(header)}", cells)
                continue
            lines.append(line)
            rows.append(row)
            if len(rows) == chunk_rows or bounded.characters - chunk_began > CHUNK_CHARACTERS:
                chunk_began = bounded.characters
                yield RowChunk(lines, {field: [row[place] for row in rows] for field, place in places.items()})
                lines, rows = [], []
        if rows:
            yield RowChunk(lines, {field: [row[place] for row in rows] for field, place in places.items()})


class _BoundedLines:
    """Lines of a text, none of them endless, nor a row of many, nor the whole of a small gzip."""

    def __init__(self, path: Path, text: IO[str]) -> None:
        self._path = path
        self._text = text
        self._bound = 1 << 62
        if path.suffix.lower() == ".gz":
            self._bound = max(FREE_CHARACTERS, MAX_UNPACKED_RATIO * path.stat().st_size)
        self._row_began = 0
        self.characters = 0

    def begin_row(self) -> None:
        """Count a row's characters from here."""
        self._row_began = self.characters

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.characters += len(line)
        if len(line) > MAX_LINE_CHARACTERS or self.characters - self._row_began > MAX_ROW_CHARACTERS:
            raise InputError(f"{self._path} has a row without an end", "is it CSV, and are its quotes closed?")
        if self.characters > self._bound:
            raise InputError(
                f"{self._path} unpacks to more than {MAX_UNPACKED_RATIO} times its size",
                "if it is an order log after all, unpack it first: gunzip -k",
            )
        return line


def _numbered(reader: Iterator[list[str]], rejects: Rejects, bounded: _BoundedLines) -> Iterator[tuple[int, list[str]]]:
    """Pair each row with the line it starts on; what the CSV reader itself refuses is rejected."""
    while True:
        bounded.begin_row()
        line = reader.line_num + 2  # type: ignore[attr-defined]  # csv readers count; the header was read before
        try:
            row = next(reader, None)
        except csv.Error as problem:
            rejects.add(line, "bad_shape", str(problem))
            continue
        if row is None:
            return
        if row:
            yield line, row


def _parquet_rows(path: Path, columns: Mapping[str, str], chunk_rows: int) -> Iterator[RowChunk]:
    seen = 0
    with pq.ParquetFile(path, read_dictionary=_checked_columns(path, columns)) as file:
        for batch in file.iter_batches(batch_size=chunk_rows, columns=sorted(set(columns.values()))):
            cells = {field: _as_text(batch.column(column)) for field, column in columns.items()}
            yield RowChunk(list(range(seen + 1, seen + batch.num_rows + 1)), cells)
            seen += batch.num_rows


def _checked_columns(path: Path, columns: Mapping[str, str]) -> list[str]:
    """Return the columns of text, which are read as dictionaries: a long text in every row is in memory once.

    Raises
    ------
    InputError
        When a column is no plain one, or says itself that it would fill the memory.
    """
    found = pq.read_metadata(path)
    schema = found.schema.to_arrow_schema()
    wanted = set(columns.values())
    for name in wanted:
        if pa.types.is_nested(schema.field(name).type):
            raise InputError(f"the column {name!r} of {path} holds lists or records", "order logs have plain columns")
    for group in range(found.num_row_groups):
        for place in range(found.num_columns):
            part = found.row_group(group).column(place)
            if part.path_in_schema in wanted and part.total_uncompressed_size > MAX_COLUMN_BYTES:
                raise InputError(
                    f"the column {part.path_in_schema!r} of {path} has more than {MAX_COLUMN_BYTES >> 30} GiB in one "
                    "row group",
                    "write the file with smaller row groups",
                )
    return sorted(name for name in wanted if pa.types.is_string(schema.field(name).type))


def _as_text(column: pa.Array) -> list[str]:
    if pa.types.is_dictionary(column.type):
        words = _as_text(column.dictionary)
        return ["" if code is None else words[code] for code in column.indices.to_pylist()]
    if pa.types.is_floating(column.type):
        # A column of whole numbers with gaps is stored as floats: 17850.0 is the text 17850.
        return ["" if cell is None or cell != cell else repr(cell).removesuffix(".0") for cell in column.to_pylist()]  # noqa: PLR0124  # NaN
    if pa.types.is_temporal(column.type):
        return [_moment(cell) for cell in column]
    return ["" if cell is None else str(cell) for cell in column.to_pylist()]


def _moment(cell: pa.Scalar) -> str:
    """Return a time, or another text where it is none that Python knows: the row is rejected then, not the file."""
    try:
        found = cell.as_py()
    except (ValueError, OverflowError):
        return "out of range"
    return "" if found is None else found.isoformat() if hasattr(found, "isoformat") else str(found)


def _open_text(path: Path, encoding: str) -> IO[str]:
    try:
        if path.suffix.lower() == ".gz":
            return gzip.open(path, "rt", encoding=encoding, errors="replace", newline="")
        return path.open(encoding=encoding, errors="replace", newline="")
    except LookupError:
        raise InputError(f"{encoding!r} is not an encoding", "for example utf-8 or latin-1") from None


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "give the path of a CSV, CSV.gz or Parquet file") from None
    except _UNREADABLE as problem:
        raise InputError(f"{path} cannot be read: {problem}", "is it a whole CSV, CSV.gz or Parquet file?") from problem
