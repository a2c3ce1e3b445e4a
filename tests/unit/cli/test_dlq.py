"""``clv dlq``: found, masked, whole on request."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from cli.main import run
from clv.masking import masked
from storage.sinking import write_batch
from tests.contract.storage.outputs import OutputTopics
from tests.unit.streams.shop import open_database

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"dlq": "cli.dlq"}
RAW = b"\xff\x00 raw"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a database with three dead letters, in the test's folder."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    outputs = OutputTopics()
    outputs.dead_letter(1)
    outputs.dead_letter(2, reason="too_late")
    outputs.dead_letter(3, key=None, reason="too_late")
    database = open_database(tmp_path)
    write_batch(database, outputs.batch())
    database.close()
    return tmp_path


def test_the_list_counts_reasons_and_shows_places(capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons are counted over all, the newest letters shown up to the limit, their bytes not at all."""
    assert run(["dlq", "list", "--json", "--limit", "1"], COMMANDS) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["reasons"] == {"bad_amount": 1, "too_late": 2}
    assert shown["dead_letters"] == [
        {"id": "clv.orders.v1/0/3", "reason": "too_late", "detail": "an amount is negative", "bytes": 6}
    ]
    assert run(["dlq", "list", "--reason", "too_late"], COMMANDS) == 0
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["clv.orders.v1/0/3", "clv.orders.v1/0/2"]
    assert "2 of 2" in said.err


def test_a_letter_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """By default neither key nor value can be read."""
    assert run(["dlq", "show", "clv.orders.v1/0/1"], COMMANDS) == 0
    shown = capsys.readouterr().out
    assert "raw" not in shown
    assert "xxx" in shown
    assert "bad_amount" in shown


def test_the_original_bytes_are_kept(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Raw gives the bytes alone, byte for byte; in JSON they are Base64."""
    assert run(["dlq", "show", "clv.orders.v1/0/1", "--raw"], COMMANDS) == 0
    assert capsysbinary.readouterr().out == RAW
    assert run(["dlq", "show", "clv.orders.v1/0/1", "--raw", "--json"], COMMANDS) == 0
    shown = json.loads(capsysbinary.readouterr().out)
    assert (base64.b64decode(shown["value"]), base64.b64decode(shown["key"])) == (RAW, b"c1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "clv.orders.v1/0/99"], "there is no dead letter"),
        (["replay"], "ids or a reason"),
        (["replay", "clv.orders.v1/0/1"], "no embedded broker"),
    ],
)
def test_what_cannot_be_done_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """One line and a hint."""
    assert run(["dlq", *arguments], COMMANDS) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "hint:" in said


def test_a_mask_keeps_the_shape_and_the_contracts_names() -> None:
    """Whoever debugs sees which field is odd, not what it says; what is not the contract's is masked, names too."""
    sent = '{"type": "OrderPlaced", "total": -19.90, "customer_id": "Zoë 7", "e_mail": "a@b.de"}'
    assert masked(sent.encode()) == (
        '{"type": "OrderPlaced", "total": -00.00, "customer_id": "xxx 0", "xxxxxx": "x@x.xx"}'
    )
    assert masked(None) == ""
