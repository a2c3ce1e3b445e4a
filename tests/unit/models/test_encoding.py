"""Names as numbers: what a code is worth, and that chance is worth nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from models import encoding
from models.residual import Fitted

if TYPE_CHECKING:
    from clv.ports import Floats
    from models.encoding import Table

FACTORS = {7.0: 2.0, 8.0: 1.0, 9.0: 0.5}
MEAN = 3.5 / 3.0


def drawn(customers: int, seed: int = 0, factors: dict[float, float] = FACTORS) -> tuple[Floats, Fitted]:
    """Return codes and rows, three a customer, where 1 is expected and a code's factor comes, with noise."""
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(customers), 3)
    codes = rng.choice(list(factors), customers)[customer]
    # What a customer is like stays: its rows are not independent.
    ratio = np.array([factors[code] for code in codes]) * rng.gamma(1.0, 1.0, customers)[customer]
    return codes, Fitted(np.ones(len(codes)), ratio, np.ones(len(codes)), customer)


def learnt(codes: Floats, fitted: Fitted, newness: float = 1.0) -> Table:
    """Learn in as many rounds as it takes to stand still."""
    table: Table = {}
    for _ in range(8):
        table = encoding.fit(codes, np.full(len(codes), newness), fitted, table)
    return table


def test_effects_are_the_logs_of_the_factors() -> None:
    """Of many customers they are found, against their mean, and in proportion where they count half."""
    codes, fitted = drawn(6_000)
    for newness in (1.0, 0.5):
        table = learnt(codes, fitted, newness)
        assert table["7"] - table["8"] == pytest.approx(math.log(2.0) / newness, rel=0.1)
        assert table["8"] - table["9"] == pytest.approx(math.log(2.0) / newness, rel=0.1)


def test_what_is_expected_already_is_no_effect() -> None:
    """Where the regression knows the factors, names differ by nothing but chance, and that counts nothing."""
    codes, fitted = drawn(3_000)
    knowing = fitted._replace(expected=np.array([FACTORS[code] for code in codes]))
    assert set(learnt(codes, knowing).values()) == {0.0}


@pytest.mark.parametrize(("customers", "names"), [(60, 5), (300, 20), (3_000, 5), (3_000, 100)])
def test_chance_counts_for_nothing(customers: int, names: int) -> None:
    """Of twenty shops whose names say nothing, three in four give none of them an effect; in the others it is small."""
    factors = {float(code): 1.0 for code in range(101, 101 + names)}
    effects = [list(learnt(*drawn(customers, seed, factors)).values()) for seed in range(20)]
    assert sum(not any(shop) for shop in effects) >= 15
    assert np.mean(np.abs(np.concatenate(effects))) < 0.25 * math.sqrt(names / customers)


def test_the_fewer_customers_the_nearer_to_the_mean() -> None:
    """The same factor counts less of a name that few have brought."""
    effects = {
        customers: np.mean([learnt(*drawn(customers, seed))["7"] for seed in range(10)])
        for customers in (60, 300, 3_000)
    }
    assert 0.0 < effects[60] < effects[300] < effects[3_000] == pytest.approx(math.log(2.0 / MEAN), abs=0.05)


def test_a_handful_alike_by_chance_is_not_believed() -> None:
    """Five customers of a name who all bought nothing show no spread of their own: that of all counts for them."""
    codes, fitted = drawn(600)
    comes = np.random.default_rng(1).random(600)[fitted.customer] < 0.25
    some = fitted.customer < 5
    ratio = np.where(comes & ~some, 4.0 * fitted.ratio, 0.0)
    table = learnt(np.where(some, 11.0, codes), fitted._replace(ratio=ratio))
    assert -0.8 < table["11"] < 0.0 < table["7"]


def test_rows_of_one_customer_are_one() -> None:
    """Each row ten times over, of the same customers, makes nothing more certain."""
    codes, fitted = drawn(200)
    tenfold = np.repeat(np.arange(len(codes)), 10)
    assert learnt(codes[tenfold], fitted.of(tenfold)) == pytest.approx(learnt(codes, fitted), rel=1e-9)


def test_no_name_and_an_unknown_name_have_no_effect() -> None:
    """Code 0 is never learnt, whatever its rows brought; a code that was not seen answers 0."""
    codes, fitted = drawn(600)
    table = learnt(np.where(codes == 8.0, 0.0, codes), fitted)
    assert set(table) == {"7", "9"}
    assert encoding.apply(table, np.array([0.0, 5.0, 7.5, 1e9, -1.0])).tolist() == [0.0] * 5
    assert encoding.apply(table, np.array([9.0, 7.0])).tolist() == [table["9"], table["7"]]


@pytest.mark.parametrize("codes", [[0.0], [7.0], [0.0, 7.0]], ids=["none", "one", "one and none"])
def test_names_that_do_not_differ_are_not_learnt(codes: list[float]) -> None:
    """One name has nobody to be different from."""
    _, fitted = drawn(100)
    assert encoding.fit(np.resize(codes, 300), np.ones(300), fitted, {}) == {}


def test_a_name_of_few_customers_is_not_learnt() -> None:
    """Many rows of four customers say nothing of a fifth."""
    codes, fitted = drawn(100)
    assert set(learnt(np.where(fitted.customer < 4, 11.0, codes), fitted)) == {"7", "8", "9"}


def test_the_names_of_most_customers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more names than fit, those of the fewest customers go."""
    monkeypatch.setattr(encoding, "MAX_NAMES", 2)
    _, fitted = drawn(20)
    assert set(learnt(np.repeat([7.0, 8.0, 9.0], [30, 12, 18]), fitted)) == {"7", "9"}


@pytest.mark.parametrize("ratio", [0.0, 1e6], ids=["nothing", "far too much"])
def test_whatever_was_realised_effects_are_finite(ratio: float) -> None:
    """Where nobody bought anything, or everybody beyond reason."""
    codes, fitted = drawn(50)
    table = learnt(codes, fitted._replace(ratio=np.where(codes == 7.0, 1.0, ratio)))
    assert np.isfinite(list(table.values())).all()


def test_a_table_is_plain_json_and_an_empty_one_is_none() -> None:
    """It survives JSON, in whatever order its names come back; without one, nobody has an effect."""
    codes, fitted = drawn(300)
    table = learnt(codes, fitted)
    again = msgspec.json.decode(msgspec.json.encode(dict(reversed(table.items()))), type=dict[str, float])
    assert encoding.apply(again, codes).tolist() == encoding.apply(table, codes).tolist()
    assert encoding.apply({}, codes).tolist() == [0.0] * len(codes)


def test_input_is_left_alone() -> None:
    """The caller's arrays and table are as they were."""
    codes, fitted = drawn(60)
    table: Table = {"7": 0.5}
    before = [column.copy() for column in (codes, *fitted)]
    encoding.fit(codes, np.ones(len(codes)), fitted, table)
    assert [column.tolist() for column in (codes, *fitted)] == [column.tolist() for column in before]
    assert table == {"7": 0.5}
