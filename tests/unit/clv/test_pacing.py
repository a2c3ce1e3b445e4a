"""What is left of a month's money."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.errors import ConfigError
from clv.pacing import monthly_most, paced


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("VIP=5", "'VIP' is no segment"),
        ("High-CLV=5,High-CLV=6", "names High-CLV twice"),
        ("High-CLV=five", "High-CLV"),
        ("High-CLV=", "High-CLV"),
        ("High-CLV=-5", "High-CLV is negative"),
        ("High-CLV=5.001", "High-CLV"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, says: str) -> None:
    """The setting and what is wrong with it are said."""
    with pytest.raises(ConfigError, match=says) as refused:
        monthly_most(text, 2)
    assert "CLV_BUDGET_MONTHLY_MOST" in str(refused.value)


def test_without_figures_nothing_is_paced() -> None:
    """Nobody knows of which month to take it."""
    assert paced({"High-CLV": 5}, {}, last_day=None, days=30) == {}


def test_a_month_that_is_spent_leaves_nothing() -> None:
    """More than all is spent: nothing is left, not less; the next month is not touched."""
    assert paced({"Low-CLV": 500}, {"Low-CLV": 800}, last_day=date(2024, 2, 10), days=19) == {"Low-CLV": 0}


def test_after_a_months_last_day_the_next_one_counts_by_days() -> None:
    """29 February is over: ten days of March are ten of 31 parts."""
    assert paced({"Low-CLV": 310}, {"Low-CLV": 310}, last_day=date(2024, 2, 29), days=10) == {"Low-CLV": 100}


def test_december_reaches_into_january() -> None:
    """Months are counted with their years."""
    assert paced({"Low-CLV": 310}, {"Low-CLV": 300}, last_day=date(2023, 12, 30), days=2) == {"Low-CLV": 20}


@given(
    last_day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    days=st.integers(1, 400),
    monthly=st.integers(0, 10**9),
    spent=st.integers(0, 10**9),
)
def test_more_days_never_allow_less(last_day: date, days: int, monthly: int, spent: int) -> None:
    """What is allowed grows with the days, and is never more than the money of all months that they touch."""
    now, later = (
        paced({"High-CLV": monthly}, {"High-CLV": spent}, last_day=last_day, days=count)["High-CLV"]
        for count in (days, days + 1)
    )
    assert 0 <= now <= later <= monthly * (days // 28 + 3)
