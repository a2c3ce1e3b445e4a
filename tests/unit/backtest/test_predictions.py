"""The file's rows: which columns, which digits."""

from __future__ import annotations

import csv
import io

import msgspec
import numpy as np
import pytest

from backtest.moments import DueMoment
from backtest.predictions import PredictionWriter, candidates_of
from clv.features import FEATURE_NAMES
from clv.outcomes import ModelVersions
from clv.ports import Floats, ScoreBatch
from clv.testing import ConstantScorer

DAY = 19_723  # 2024-01-01


def batch(*clv: float) -> ScoreBatch:
    """Return scores of so many customers; the online model does not answer for the first."""
    values = np.array(clv)
    scores = ConstantScorer().score(np.zeros((len(clv), len(FEATURE_NAMES))), np.zeros(len(clv), dtype=np.int64))
    return msgspec.structs.replace(
        scores,
        clv=values,
        lower=values / 2,
        upper=values * 2,
        btyd=values,
        online=np.where(np.arange(len(clv)) == 0, 0.0, values),
        versions=(ModelVersions(scorer="000007-a", champion="blend"),),
    )


def parsed(content: bytes) -> list[list[str]]:
    """Read rows back."""
    return list(csv.reader(io.StringIO(content.decode())))


def test_columns_are_the_protocols_then_the_candidates() -> None:
    """The candidates are the scorer's, whichever those are."""
    (columns,) = parsed(PredictionWriter(ConstantScorer(), digits=2).header())
    assert columns[:6] == ["customer_id", "as_of", "kind", "predicted", "lower", "upper"]
    assert columns[6:] == ["btyd", "glm", "online", "ensemble", "naive", "champion", "scorer_version"]


def test_money_is_major_with_six_decimals_and_silence_is_empty() -> None:
    """A candidate that did not answer has an empty cell."""
    writer = PredictionWriter(ConstantScorer(), digits=2)
    moments = [DueMoment('a,"b"', "order"), DueMoment("ü", "tick")]
    rows = parsed(writer.rows(moments, DAY, batch(1234.56789, 1e14)))
    assert rows[0][:8] == ['a,"b"', "2024-01-01", "order", "12.345679", "6.172839", "24.691358", "12.345679", ""]
    assert rows[1][:4] == ["ü", "2024-01-01", "tick", "1000000000000.000000"]
    assert [row[-2:] for row in rows] == [["blend", "000007-a"]] * 2


@pytest.mark.parametrize(("digits", "text"), [(0, "1234.000000"), (2, "12.340000"), (3, "1.234000")])
def test_the_currencys_decimals_count(digits: int, text: str) -> None:
    """Yen have none, dinars three."""
    writer = PredictionWriter(ConstantScorer(), digits=digits)
    assert parsed(writer.rows([DueMoment("a", "order")], DAY, batch(1234.0)))[0][3] == text


def test_a_further_candidate_has_a_column() -> None:
    """A scorer whose batches hold another model's answers needs no change here; counts and times are no models."""

    class More(ScoreBatch, frozen=True, kw_only=True):
        """A batch with one model more."""

        stacked: Floats
        rank: np.ndarray[tuple[int], np.dtype[np.int64]]

    scores = batch(5.0)
    fields = {name: getattr(scores, name) for name in scores.__struct_fields__}
    more = More(**fields, stacked=np.array([7.0]), rank=np.array([1]))
    assert list(candidates_of(more)) == ["btyd", "glm", "online", "ensemble", "naive", "stacked"]
