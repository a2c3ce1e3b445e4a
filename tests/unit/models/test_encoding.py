"""Names as numbers: what a code is worth, and that no row sees its own label."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from models import encoding


def drawn(seed: int = 0, customers: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, ratios, weights and customers of three rows a customer; code 7 is worth twice the others."""
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(customers), 3)
    codes = rng.choice([7.0, 8.0, 9.0], customers)[customer]
    ratio = rng.gamma(2.0, 0.5, 3 * customers) * np.where(codes == 7.0, 2.0, 1.0)
    return codes, ratio, rng.uniform(0.5, 1.5, 3 * customers), customer


@pytest.mark.parametrize("who", [0, 3, 17, 59])
def test_a_customers_labels_never_move_its_own_rows(who: int) -> None:
    """However its labels change, the numbers of a customer's own rows stay; those of others move."""
    codes, ratio, weight, customer = drawn()
    mine = customer == who
    table, before = encoding.fit(codes, ratio, weight, customer)
    changed, after = encoding.fit(codes, np.where(mine, 1_000.0, ratio), weight, customer)
    assert after[mine].tolist() == before[mine].tolist()
    code = str(int(codes[mine][0]))
    assert changed[code] > table[code]
    same_code = (codes == codes[mine][0]) & (customer % encoding.FOLDS != who % encoding.FOLDS)
    assert (after[same_code] > before[same_code]).all()


def test_no_name_and_an_unknown_name_have_no_effect() -> None:
    """Code 0 is never learnt, whatever its rows brought; a code that was not seen answers 0."""
    codes, ratio, weight, customer = drawn()
    codes = np.where(codes == 8.0, 0.0, codes)
    table, column = encoding.fit(codes, np.where(codes == 0.0, 50.0, ratio), weight, customer)
    assert set(table) == {"7", "9"}
    assert column[codes == 0.0].tolist() == [0.0] * int((codes == 0.0).sum())
    assert encoding.apply(table, np.array([0.0, 5.0, 7.5, 1e9, -1.0])).tolist() == [0.0] * 5
    assert encoding.apply(table, np.array([9.0, 7.0])).tolist() == [table["9"], table["7"]]


def test_an_effect_is_the_log_of_the_smoothed_ratio() -> None:
    """Two hundred rows of the population stand beside a name's own."""
    customer = np.arange(900)
    codes = np.where(customer < 100, 7.0, 8.0)
    ratio = np.where(codes == 7.0, 4.0, 1.0)
    table, _ = encoding.fit(codes, ratio, np.full(900, 3.0), customer)
    overall = (100 * 4 + 800) / 900
    assert table["7"] == pytest.approx(math.log((100 * 4 + 200 * overall) / 300 / overall), rel=1e-12)
    assert table["8"] == pytest.approx(math.log((800 + 200 * overall) / 1_000 / overall), rel=1e-12)


@pytest.mark.parametrize("least", [10, 100, 1_000])
def test_the_more_rows_the_less_smoothing(least: int) -> None:
    """A name's effect draws nearer to what its rows say with ten times as many of them."""

    def effect(count: int) -> float:
        customer = np.arange(20 * count)
        codes = np.where(customer < count, 7.0, 8.0)
        ratio = np.where(codes == 7.0, 2.0, 1.0)
        return encoding.fit(codes, ratio, np.ones(20 * count), customer)[0]["7"]

    assert 0.0 < effect(least) < effect(10 * least) < math.log(2.0)


def test_a_name_of_few_customers_is_not_learnt() -> None:
    """Many rows of four customers say nothing of a fifth."""
    customer = np.concatenate([np.arange(100), np.repeat(np.arange(100, 104), 50)])
    codes = np.where(customer < 100, 8.0, 7.0)
    ratio = np.where(customer < 100, 1.0, 9.0)
    table, column = encoding.fit(codes, ratio, np.ones(300), customer)
    assert set(table) == {"8"}
    assert column[100:].tolist() == [0.0] * 200


def test_the_names_of_most_customers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more names than fit, those of the fewest customers go, and have no effect."""
    monkeypatch.setattr(encoding, "MAX_NAMES", 2)
    codes = np.repeat([7.0, 8.0, 9.0], [30, 10, 20])
    table, column = encoding.fit(codes, np.linspace(0.5, 2.0, 60), np.ones(60), np.arange(60))
    assert set(table) == {"7", "9"}
    assert column[30:40].tolist() == [0.0] * 10
    assert (column[codes == 7.0] != 0.0).all()


def test_nothing_realised_is_finite() -> None:
    """Where nobody bought anything, effects are finite."""
    table, column = encoding.fit(np.full(50, 7.0), np.zeros(50), np.ones(50), np.arange(50))
    assert np.isfinite(column).all()
    assert all(math.isfinite(effect) for effect in table.values())


def test_a_table_is_plain_json_and_an_empty_one_is_none() -> None:
    """It survives JSON, in whatever order its names come back; without one, nobody has an effect."""
    codes, ratio, weight, customer = drawn()
    table, _ = encoding.fit(codes, ratio, weight, customer)
    again = msgspec.json.decode(msgspec.json.encode(dict(reversed(table.items()))), type=encoding.Table)
    assert encoding.apply(again, codes).tolist() == encoding.apply(table, codes).tolist()
    assert encoding.apply({}, codes).tolist() == [0.0] * len(codes)


def test_input_is_left_alone() -> None:
    """The caller's arrays are as they were."""
    given = drawn()
    before = [column.copy() for column in given]
    encoding.fit(*given)
    assert [column.tolist() for column in given] == [column.tolist() for column in before]
