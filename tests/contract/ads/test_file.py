"""Audiences as files: whole or not at all, for their owner alone."""

from __future__ import annotations

import csv
import stat
from typing import TYPE_CHECKING

import pytest

from ads.connectors.file import FileConnector
from ads.identity import Identity
from tests.contract.ads.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path

    from storage.engine import Database


@pytest.fixture
def shop(database: Database) -> Shop:
    """Give a shop of three customers."""
    made = Shop(database)
    made.score("=1+1", "High-CLV", 123_456)
    made.score("c2", "High-CLV", 20_000)
    made.score("c3", "Low-CLV", 100, churn=0.9)
    made.identities["c2"] = Identity()
    return made


def rows(path: Path) -> list[list[str]]:
    """Read a file's lines without their header."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def test_each_audience_is_a_file(shop: Shop, tmp_path: Path) -> None:
    """With hashes where an identity is known, values where they count, and nobody's address."""
    folder = tmp_path / "audiences"
    reports = shop.synchronise(FileConnector(folder, digits=2))
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("clv-tier-a.csv", "clv-tier-c.csv", "clv-seed.csv"),
        *("clv-existing-customers.csv", "clv-win-back.csv"),
    }
    tier, seed = rows(folder / "clv-tier-a.csv"), rows(folder / "clv-seed.csv")
    assert [(row[0], len(row[1]), row[2], row[3]) for row in tier] == [("=1+1", 64, "", ""), ("c2", 0, "", "")]
    assert [row[3] for row in seed] == ["1234.56", "200.00", "1.00"]
    assert "example.com" not in "".join(path.read_text() for path in folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (reports["CLV tier A"].added, reports["CLV tier A"].status) == (2, "ready")


def test_changes_take_the_files_place(shop: Shop, tmp_path: Path) -> None:
    """Who left is gone, also by erasure, and also when nobody is left."""
    folder = tmp_path / "audiences"
    shop.synchronise(FileConnector(folder, digits=2))
    shop.score("c2", "Low-CLV", 100)
    shop.erase("=1+1")
    shop.synchronise(FileConnector(folder, digits=2))
    assert rows(folder / "clv-tier-a.csv") == []
    assert [row[0] for row in rows(folder / "clv-tier-c.csv")] == ["c2", "c3"]
    assert [row[0] for row in rows(folder / "clv-existing-customers.csv")] == ["c2", "c3"]


def test_a_folder_that_cannot_be_written_is_said(shop: Shop, tmp_path: Path) -> None:
    """Each audience fails with the reason, and the next synchronisation mends it."""
    folder = tmp_path / "audiences"
    folder.write_text("a file is in the way")
    report = shop.synchronise(FileConnector(folder, digits=2))["CLV tier A"]
    assert (report.status, "cannot be made" in report.detail) == ("failed", True)
    folder.unlink()
    assert shop.synchronise(FileConnector(folder, digits=2))["CLV tier A"].status == "ready"
