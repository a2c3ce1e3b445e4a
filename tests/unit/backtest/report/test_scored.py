"""Predictions files: what is read, what is kept, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from backtest.report.scored import read_predictions, score_moments
from clv.errors import InputError
from tests.unit.backtest.shops import net_of, prediction, write_predictions

if TYPE_CHECKING:
    from pathlib import Path

LOG = [("a", 110, 900), ("a", 120, 500), ("NA", 130, 700), ("first", 0, 1), ("last", 299, 1)]


def test_candidates_are_the_columns_before_the_champion(tmp_path: Path) -> None:
    """Columns may be added after the versions without becoming models; a model that never answered is none."""
    columns = ("customer_id", "as_of", "predicted", "lower", "upper", "btyd", "new", "silent", "champion", "note")
    row = prediction("a", 110, 5, btyd=4, new=7.5, champion="btyd", note=12)
    path = write_predictions(tmp_path / "p.csv", [row], columns)
    given = read_predictions(path)
    assert {name: values.tolist() for name, values in given.candidates.items()} == {"btyd": [4.0], "new": [7.5]}
    assert (given.champion.tolist(), given.versions) == (["btyd"], ())
    assert np.isnan(given.lower).all()


def test_three_columns_are_enough(tmp_path: Path) -> None:
    """Who, when and how much: the rest may be missing."""
    path = write_predictions(tmp_path / "p.csv", [prediction("a", 110, 5)], ("customer_id", "as_of", "predicted"))
    scored = score_moments(net_of(LOG), read_predictions(path), 90)
    assert (scored.predicted.tolist(), scored.actual.tolist(), scored.candidates) == ([5.0], [5.0], {})


def test_a_customer_may_be_called_na(tmp_path: Path) -> None:
    """Names are text, whatever a reader of tables takes them for."""
    path = write_predictions(tmp_path / "p.csv", [prediction("NA", 130, 5)])
    assert score_moments(net_of(LOG), read_predictions(path), 90).predicted.tolist() == [5.0]


def test_only_due_moments_count_and_the_last_row_of_each(tmp_path: Path) -> None:
    """Strangers, other days, early and late moments fall out; kinds come from the log, not from the file."""
    rows = [
        prediction("a", 110, 1),
        prediction("a", 115, 2),
        prediction("nobody", 110, 3),
        prediction("first", 0, 4),
        prediction("last", 299, 5),
        prediction("first", 180, 6),
        prediction("a", 110, 7),
    ]
    scored = score_moments(net_of(LOG), read_predictions(write_predictions(tmp_path / "p.csv", rows)), 90)
    assert (scored.predicted.tolist(), scored.is_order.tolist()) == ([6.0, 7.0], [False, True])
    # Due are a's and NA's purchase days, their ticks (140, 170, 200; 160, 190) and first's at 180.
    assert scored.due_count == 3 + 5 + 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (prediction("a", 110, -1), "negative"),
        (prediction("a", 110, "inf"), "not finite"),
        (prediction("a", 110, ""), "without a prediction"),
        (prediction("a", 110, "much"), "cannot be read"),
        (prediction("a", 110, 5, btyd=-3), "btyd"),
        ({"customer_id": "a", "as_of": "2024-02-31", "predicted": 5}, "not a date"),
        ({"customer_id": "a", "as_of": "yesterday", "predicted": 5}, "not a date"),
        ({"customer_id": "a", "as_of": "", "predicted": 5}, "not a date"),
    ],
    ids=["negative", "infinite", "empty", "text", "candidate", "impossible-day", "word", "no-day"],
)
def test_a_bad_row_is_refused(tmp_path: Path, row: dict[str, object], problem: str) -> None:
    """A file that cannot be judged whole is not judged at all, and the reason is named."""
    path = write_predictions(tmp_path / "p.csv", [prediction("a", 120, 5), row])
    with pytest.raises(InputError, match=problem):
        read_predictions(path)


@pytest.mark.parametrize(
    "content", [None, b"", b"who,when\na,b\n", b"\xff\xfe\x00"], ids=["none", "empty", "other", "bytes"]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """What is no predictions file is said to be none."""
    path = tmp_path / "p.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError):
        read_predictions(path)


def test_a_log_too_short_is_refused(tmp_path: Path) -> None:
    """Two horizons must fit into the log."""
    path = write_predictions(tmp_path / "p.csv", [prediction("a", 110, 5)])
    with pytest.raises(InputError, match="no prediction lies at a moment") as caught:
        score_moments(net_of([row for row in LOG if row[1] < 180]), read_predictions(path), 90)
    assert "more than 180 days" in caught.value.hint
