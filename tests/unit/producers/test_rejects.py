"""Bad rows and where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.rejects import Rejects

if TYPE_CHECKING:
    from pathlib import Path


def test_rejects_are_counted_and_written_without_mail_addresses(tmp_path: Path) -> None:
    """The file says line, reason and cells; the e-mail address is not among them."""
    path = tmp_path / "deep" / "rejects.csv"
    with Rejects(path) as rejects:
        rejects.add(7, "bad_time", "the time is not ISO 8601", {"customer_id": "c1", "email": "a@b.example"})
    assert rejects.count == 1
    assert rejects.first == "line 7: the time is not ISO 8601"
    assert path.read_text().splitlines() == [
        "line,reason,detail,row",
        "7,bad_time,the time is not ISO 8601,customer_id=c1",
    ]


def test_a_clean_log_leaves_no_file(tmp_path: Path) -> None:
    """The file appears with the first reject."""
    with Rejects(tmp_path / "rejects.csv"):
        pass
    assert not (tmp_path / "rejects.csv").exists()
