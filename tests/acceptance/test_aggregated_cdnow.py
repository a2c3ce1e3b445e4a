"""How good totals are on real customers: the figures of docs/aggregated.md, computed again."""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from clv.summary import CustomerSummary
from models import aggregated, btyd
from models.evaluation import tweedie_deviance
from models.summaries import summaries_of
from tests.conftest import ROOT

if TYPE_CHECKING:
    from clv.ports import Floats

pytestmark = pytest.mark.slow
CUTS = (180, 300)
HORIZON = 90
MODELS = ("BTYD, full history", "aggregated", "orders so far / age × 90")


class Customer(NamedTuple):
    """Orders up to the cut as (day, minor units), and what came in the horizon after it."""

    orders: list[tuple[int, int]]
    value_minor: int


@cache
def customers(cut: int) -> list[Customer]:
    """Return all CDNOW customers, seen at the end of a day counted from 1 January 1997."""
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    came: dict[str, int] = defaultdict(int)
    with gzip.open(ROOT / "data" / "cdnow_orders.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            day = (date.fromisoformat(row["date"]) - date(1997, 1, 1)).days
            amount_minor = round(float(row["amount"]) * 100)
            if day <= cut:
                seen[row["customer_id"]].append((day, amount_minor))
            elif day <= cut + HORIZON:
                came[row["customer_id"]] += amount_minor
    return [Customer(sorted(orders), came[name]) for name, orders in seen.items()]


@cache
def predictions(cut: int) -> aggregated.Predictions:
    """Return what totals alone predict."""
    summaries = summaries_of(
        [
            CustomerSummary(
                order_count=len(orders),
                spent_minor=sum(amount for _, amount in orders),
                first_purchase_days=cut - orders[0][0],
                last_purchase_days=cut - orders[-1][0],
            )
            for orders, _ in customers(cut)
        ]
    )
    fitted = aggregated.fit(summaries, currency="USD", horizon_days=HORIZON, as_of_ms=0)
    return aggregated.predict(fitted.model, summaries)


def full_history(cut: int) -> Floats:
    """Return what BTYD predicts from purchase days, the first and the repeats told apart."""
    rows = []
    for orders, _ in customers(cut):
        days: dict[int, int] = defaultdict(int)
        for day, amount in orders:
            days[day] += amount
        values = [(day, amount) for day, amount in sorted(days.items()) if amount > 0]
        if not values:
            rows.append((0.0, 0.0, cut - orders[0][0], 0.0, 0.0))
            continue
        total, first = sum(amount for _, amount in values), values[0][1]
        repeats = len(values) - 1
        mean_repeat = (total - first) / repeats if repeats else 0.0
        rows.append((repeats, values[-1][0] - values[0][0], cut - values[0][0], total / len(values), mean_repeat))
    x, span, age, mean, mean_repeat = np.array(rows, dtype=np.float64).T
    histories = btyd.histories_from_days(x, span, age, mean_minor=mean, mean_repeat_minor=mean_repeat)
    return btyd.answer(btyd.fit(histories), histories, horizon_days=HORIZON).value_minor


def rate(cut: int) -> Floats:
    """Return spending so far over age, which counts as at least the horizon, times the horizon."""
    return np.array(
        [sum(a for _, a in orders) / max(cut - orders[0][0], HORIZON) * HORIZON for orders, _ in customers(cut)]
    )


def computed(cut: int, name: str) -> list[float]:
    """Return the figures of one row of the table, in the currency's major unit."""
    actual = np.array([customer.value_minor for customer in customers(cut)], dtype=np.float64)
    answer = predictions(cut)
    by_name = {MODELS[0]: full_history, MODELS[2]: rate}
    said = by_name[name](cut) if name in by_name else answer.predicted_minor.astype(np.float64)
    deviance = float(tweedie_deviance(actual, np.maximum(said, 1e-3)).mean()) / 10
    figures = [deviance, float(np.abs(actual - said).mean()) / 100, float(said.sum() / actual.sum())]
    if name == "aggregated":
        inside = (answer.lower_minor <= actual) & (actual <= answer.upper_minor)
        figures += [float(inside.mean()), float(inside[np.argsort(said)[-len(said) // 5 :]].mean())]
    return figures


def documented() -> dict[tuple[int, str], list[float]]:
    """Return the table of the page."""
    text = (ROOT / "docs" / "aggregated.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \d+ \|.*$", text, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {(int(cut), name): [float(cell) for cell in cells if cell] for cut, name, *cells in rows}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_page_tells_the_figures(cut: int, name: str) -> None:
    """Every figure of docs/aggregated.md comes out again."""
    assert computed(cut, name) == pytest.approx(documented()[cut, name], abs=0.006)


@pytest.mark.parametrize("cut", CUTS)
def test_totals_cost_little_and_intervals_hold(cut: int) -> None:
    """Within 2 % of the full history's deviance, and nine in ten customers inside, among the best fifth too."""
    deviance, _, _, coverage, fifth = computed(cut, "aggregated")
    assert deviance < 1.02 * computed(cut, MODELS[0])[0]
    assert min(coverage, fifth) > 0.9
