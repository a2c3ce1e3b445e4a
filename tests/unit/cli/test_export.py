"""``clv export``: exact values, whole files or none."""

from __future__ import annotations

import csv
import gzip
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from cli.main import run
from cli.writing import write_rows
from clv import topics
from clv.features import FEATURE_NAMES
from storage import tables
from storage.export import EXPORT_NAMES, export_columns
from storage.sinking import load_positions, write_batch
from tests.contract.storage.outputs import OutputTopics, announcement, budget_signal
from tests.unit.streams.shop import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.writing import Columns

COMMANDS = {"export": "cli.export"}


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a database with a few rows of everything, in the test's folder."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    outputs = OutputTopics()
    outputs.score("e1", "007", revenue_minor=10**13 + 1, segment=None)
    outputs.score("e2", 'c"2,\n', revenue_minor=5)
    outputs.change("s1", "007")
    outputs.add(topics.BUDGET_SIGNALS, b"High-CLV", budget_signal("b1"))
    outputs.example("x1", "007", features=[0.1 + 0.2] * len(FEATURE_NAMES), btyd_minor=0.1 + 0.7)
    outputs.example("x2", "007", features=[1.0], btyd_minor=1.0)
    outputs.add(topics.MODELS, b"online", announcement("v1"))
    outputs.dead_letter(1)
    database = open_database(tmp_path)
    write_batch(database, outputs.batch())
    database.close()
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_customers_are_exact(data_dir: Path, capsys: pytest.CaptureFixture[str], ending: str) -> None:
    """Money is decimal text to the cent, ids keep zeros and quotes, nothing is the empty text."""
    out = data_dir / f"customers.{ending}"
    assert run(["export", "customers", str(out), "--json"], COMMANDS) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 2, "file": str(out)}
    text = gzip.decompress(out.read_bytes()).decode() if ending == "csv.gz" else out.read_bytes().decode()
    first, second = csv.DictReader(text.splitlines(keepends=True))
    assert (first["customer_id"], first["revenue"], first["segment"]) == ("007", "100000000000.01", "")
    assert (first["last_order_at"], first["clv_lower"], first["horizon_days"]) == (
        "1997-01-02T00:00:00Z",
        "50.00",
        "90",
    )
    assert (second["customer_id"], second["revenue"]) == ('c"2,\n', "0.05")
    assert list(first) == list(export_columns("customers"))


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_every_table_goes_into_parquet(data_dir: Path, name: str) -> None:
    """Each table gives its rows; text stays text, counts and features are numbers, to the last bit."""
    out = data_dir / "out.parquet"
    assert run(["export", name, str(out)], COMMANDS) == 0
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == (2 if name in {"customers", "scores", "examples"} else 1)
    if name == "examples":
        assert [row["gap_cv"] for row in rows] == [0.1 + 0.2, None]
        assert [row["btyd_minor"] for row in rows] == [0.1 + 0.7, 1.0]
        assert [row["value_minor"] for row in rows] == [2_500, 2_500]
    if name == "customers":
        assert (rows[0]["revenue"], rows[0]["order_count"], rows[0]["segment"]) == ("100000000000.01", 1, None)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"], ids=repr)
def test_csv_defuses_formulas_in_text_alone(tmp_path: Path, start: str) -> None:
    """An apostrophe goes before text that a spreadsheet would run; numbers, money and Base64 stay as they are."""
    columns: Columns = {"id": str, "money": Decimal, "base64": bytes, "count": int, "real": float, "none": str}
    row = {"id": f"{start}1+2", "money": "-0.05", "base64": "+/8=", "count": -1, "real": -0.5, "none": None}
    write_rows(tmp_path / "out.csv", columns, [row])
    with (tmp_path / "out.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == [f"'{start}1+2", "-0.05", "+/8=", "-1", "-0.5", ""]
    write_rows(tmp_path / "out.parquet", columns, [row])
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [row]


def test_customer_ids_that_are_formulas_are_defused_on_standard_output(
    data_dir: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What a shop's customer can choose reaches no spreadsheet as a formula."""
    outputs = OutputTopics()
    outputs.score("e3", '=HYPERLINK("http://evil")')
    database = open_database(data_dir)
    write_batch(database, outputs.batch(load_positions(database, [topics.SCORES])))
    database.close()
    assert run(["export", "customers", "-"], COMMANDS) == 0
    assert b"\n\"'=HYPERLINK(" in capsysbinary.readouterr().out


def test_an_export_without_rows_has_its_types(data_dir: Path) -> None:
    """A Parquet file of no examples can be computed with as one of many."""
    database = open_database(data_dir)
    with database.writing() as connection:
        connection.execute(tables.training_examples.delete())
    database.close()
    assert run(["export", "examples", str(data_dir / "out.parquet")], COMMANDS) == 0
    schema = pq.read_schema(data_dir / "out.parquet")
    assert [str(schema.field(name).type) for name in ("gap_cv", "value_minor", "as_of")] == [
        "double",
        "int64",
        "string",
    ]


def test_standard_output_gets_nothing_but_the_rows(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A dash pipes CSV."""
    assert run(["export", "budget-signals", "-"], COMMANDS) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0].startswith("event_id,proposal_id,as_of,")
    assert len(lines) == 2


def test_an_interrupted_export_leaves_no_file(tmp_path: Path) -> None:
    """What was there before stays, and no half file stands beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "customers.csv"
    out.write_text("before")

    def rows() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise KeyboardInterrupt

    for name in ("customers.csv", "customers.csv.gz", "customers.parquet"):
        with pytest.raises(KeyboardInterrupt):
            write_rows(folder / name, {"a": int}, rows())
    assert [file.name for file in folder.iterdir()] == ["customers.csv"]
    assert out.read_text() == "before"


def test_rows_are_taken_one_by_one(tmp_path: Path) -> None:
    """More rows than one Parquet group holds keep their order and number."""
    write_rows(tmp_path / "many.parquet", {"n": int}, ({"n": number} for number in range(25_000)))
    assert pq.read_table(tmp_path / "many.parquet")["n"].to_pylist() == list(range(25_000))
    assert pq.ParquetFile(tmp_path / "many.parquet").num_row_groups == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["everything", "out.csv"], 2, "is none of customers, scores"),
        (["customers", "out.xls"], 1, "another ending"),
        (["customers", "no/such/folder/out.csv"], 1, "cannot be written"),
        (["customers", "-", "--json"], 1, "name a file"),
    ],
)
def test_what_cannot_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    """One line, and what would do."""
    assert run(["export", *arguments], COMMANDS) == code
    assert says in " ".join(capsys.readouterr().err.split())
