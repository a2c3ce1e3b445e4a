"""Factors as amounts: they add up, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contributions import REST, share_out


@given(
    logs=st.dictionaries(st.sampled_from("abc"), st.floats(-30, 30)),
    predicted=st.integers(0, 10**14),
    base=st.integers(0, 10**14),
)
def test_parts_sum_to_the_difference(logs: dict[str, float], predicted: int, base: int) -> None:
    """To the minor unit, with absurd factors and amounts of nothing too."""
    terms = {name: np.array([log]) for name, log in logs.items()}
    parts = share_out(terms, np.array([predicted], dtype=np.int64), base)
    assert sum(int(part[0]) for part in parts.values()) == predicted - base
    assert list(parts) == [*logs, REST]


def test_factors_that_explain_all_leave_no_rest() -> None:
    """Half the rate, three times the value: the amounts have their signs and differ as their logs do."""
    parts = share_out({"rate": np.log([0.5]), "value": np.log([3.0])}, np.array([15_000], dtype=np.int64), 10_000)
    assert int(parts[REST][0]) in {-1, 0, 1}
    assert parts["value"][0] / -parts["rate"][0] == pytest.approx(np.log(3.0) / np.log(2.0), rel=1e-3)
