"""Rows of files as text, with their lines."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from clv.errors import InputError
from producers.rejects import Rejects
from producers.rows import RowChunk, file_digest, read_header, read_rows

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {"customer_id": "c", "amount": "a"}


def _read(path: Path, rejects: Rejects | None = None, chunk_rows: int = 50_000) -> list[RowChunk]:
    return list(read_rows(path, COLUMNS, rejects=rejects or Rejects(), chunk_rows=chunk_rows))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(tmp_path: Path, delimiter: str) -> None:
    """Comma, semicolon, tab and bar are read alike."""
    path = tmp_path / "log.csv"
    path.write_text(f"c{delimiter}a\n007{delimiter}1.50\n")
    assert _read(path) == [RowChunk([2], {"customer_id": ["007"], "amount": ["1.50"]})]


def test_a_byte_order_mark_and_gzip_are_taken_off(tmp_path: Path) -> None:
    """A spreadsheet's export reads like any other."""
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfc,a\r\n1,2\r\n"))
    assert read_header(path) == ["c", "a"]
    assert _read(path) == [RowChunk([2], {"customer_id": ["1"], "amount": ["2"]})]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    """A row after a quoted line break and a blank line has the number of the line it starts on."""
    path = tmp_path / "log.csv"
    path.write_text('c,a\n"x\ny",1\n\nz,2\n')
    assert _read(path) == [RowChunk([2, 5], {"customer_id": ["x\ny", "z"], "amount": ["1", "2"]})]


def test_a_row_of_the_wrong_width_is_rejected_and_the_rest_read(tmp_path: Path) -> None:
    """Too few or too many cells make a reject with the line, not the end."""
    path = tmp_path / "log.csv"
    path.write_text("c,a\n1\n2,2\n3,3,3\n")
    rejects = Rejects(tmp_path / "rejects.csv")
    assert _read(path, rejects)[0].lines == [3]
    rejects.close()
    assert rejects.by_reason == {"bad_shape": 2}
    written = (tmp_path / "rejects.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in written] == ["2", "4"]


def test_a_cell_beyond_all_bounds_is_rejected_and_the_rest_read(tmp_path: Path) -> None:
    """What the CSV reader refuses does not stop the run."""
    path = tmp_path / "log.csv"
    path.write_text(f"c,a\n{'x' * 200_000},1\n2,2\n")
    rejects = Rejects()
    assert [chunk.cells["customer_id"] for chunk in _read(path, rejects)] == [["2"]]
    assert rejects.by_reason == {"bad_shape": 1}


def test_chunks_hold_all_rows_in_order(tmp_path: Path) -> None:
    """Chunking changes nothing but the memory."""
    path = tmp_path / "log.csv"
    path.write_text("c,a\n" + "".join(f"{n},{n}\n" for n in range(7)))
    chunks = _read(path, chunk_rows=3)
    assert [len(chunk.lines) for chunk in chunks] == [3, 3, 1]
    assert [line for chunk in chunks for line in chunk.lines] == list(range(2, 9))


def test_parquet_cells_become_the_text_they_mean(tmp_path: Path) -> None:
    """Whole numbers stored as floats lose their point; times, blanks and floats keep their meaning."""
    path = tmp_path / "log.parquet"
    moment = pd.Timestamp("2024-01-02T03:04:05+01:00")
    pd.DataFrame({"c": [17850.0, None], "a": [0.1, 2.5], "t": [moment, moment]}).to_parquet(path)
    (chunk,) = read_rows(path, {**COLUMNS, "occurred_at": "t"}, rejects=Rejects())
    assert chunk.lines == [1, 2]
    assert chunk.cells["customer_id"] == ["17850", ""]
    assert chunk.cells["amount"] == ["0.1", "2.5"]
    assert chunk.cells["occurred_at"] == ["2024-01-02T03:04:05+01:00"] * 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("log.csv", b"", id="empty"),
        pytest.param("log.csv.gz", gzip.compress(b"c,a\n" + b"1,2\n" * 50_000)[:-20], id="cut-gzip"),
        pytest.param("log.csv.gz", b"c,a\n1,2\n", id="no-gzip"),
        pytest.param("log.parquet", b"c,a\n1,2\n", id="no-parquet"),
    ],
)
def test_an_unreadable_file_is_an_input_error(tmp_path: Path, name: str, content: bytes) -> None:
    """The user gets the path and a hint, not a traceback."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        _read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_encoding_are_input_errors(tmp_path: Path) -> None:
    """Both are named."""
    with pytest.raises(InputError, match="there is no file"):
        file_digest(tmp_path / "none.csv")
    (tmp_path / "log.csv").write_text("c,a\n")
    with pytest.raises(InputError, match="not an encoding"):
        read_header(tmp_path / "log.csv", encoding="nonsense")
