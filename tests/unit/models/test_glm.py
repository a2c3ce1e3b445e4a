"""The windowed regression: what it finds, when it keeps silent, how far it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch
from clv.features import FEATURE_INDEX, FEATURE_NAMES
from clv.windows import Windows
from models import btyd, glm, relative
from models.glm import GlmState
from models.glm_inputs import INPUT_NAMES
from models.prior import PRIOR
from tests.unit.models.histories import DAY_MS, START_MS, absurd_rows, feature_rows, windows

if TYPE_CHECKING:
    from clv.ports import Floats
    from models.btyd import BtydAnswer

NOW_MS = START_MS + 365 * DAY_MS
SOURCE = FEATURE_INDEX["source_code"]
GOOD, PLAIN, BAD = 101.0, 102.0, 103.0
FACTORS = {GOOD: 2.0, PLAIN: 1.0, BAD: 0.5}


def answer_of(rows: Floats) -> BtydAnswer:
    """Return what the prior says of rows."""
    return btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90)


def new_rows(count: int, seed: int) -> Floats:
    """Return feature rows of customers who first bought ten days ago."""
    rows = feature_rows(count, seed)
    age, last = FEATURE_INDEX["customer_age_days"], FEATURE_INDEX["last_purchase_age_days"]
    rows[:, last] *= 10.0 / np.maximum(rows[:, age], 1e-9)
    rows[:, age] = 10.0
    return rows


def world(customers: int = 900, seed: int = 0) -> Windows:
    """Return windows of new customers, worth what the prior expects times their source's factor, and noise."""
    rng = np.random.default_rng(seed)
    rows = new_rows(3 * customers, seed)
    customer = np.repeat(np.arange(customers), 3)
    rows[:, SOURCE] = rng.choice(list(FACTORS), customers)[customer]
    factor = np.array([FACTORS[code] for code in rows[:, SOURCE]])
    unit = relative.unit_minor(rows, answer_of(rows).value_minor)
    span = np.full(len(rows), 90.0)
    value = np.round(unit * factor * rng.gamma(1.0, 1.0, len(rows)))
    return Windows(rows, np.full(len(rows), NOW_MS - 90 * DAY_MS), span, value, customer)


def fitted(given: Windows | None = None) -> GlmState:
    """Return a regression fitted to the prior's world, or other windows."""
    state = glm.fit(given or world(), PRIOR, now_ms=NOW_MS, horizon_days=90)
    assert state is not None
    return state


@pytest.fixture(scope="module")
def state() -> GlmState:
    """A regression that has learnt what three sources are worth."""
    return fitted()


def test_it_finds_a_known_effect(state: GlmState) -> None:
    """Customers of sources worth twice and half are predicted near twice and half of what others are."""
    rows = new_rows(400, seed=9)
    predicted = {}
    for code in FACTORS:
        rows[:, SOURCE] = code
        predicted[code] = state.predict(rows, answer_of(rows))
    assert np.median(predicted[GOOD] / predicted[PLAIN]) == pytest.approx(2.0, rel=0.2)
    assert np.median(predicted[BAD] / predicted[PLAIN]) == pytest.approx(0.5, rel=0.2)


def test_a_name_says_less_of_those_who_are_known_longer(state: GlmState) -> None:
    """A source's part halves by the age of the base's alpha, and goes on falling as BG/NBD's expectation does."""
    alpha_days = 7.0 * PRIOR.orders.alpha
    assert state.newness_days == alpha_days
    rows = np.repeat(feature_rows(1, seed=4), 4, axis=0)
    rows[:, SOURCE] = [GOOD, GOOD, GOOD, 0.0]
    rows[:, FEATURE_INDEX["customer_age_days"]] = [0.0, alpha_days, 3.0 * alpha_days, 0.0]
    terms = state.terms(rows, answer_of(rows))[INPUT_NAMES.index("source_effect_x_newness")]
    assert terms == pytest.approx(terms[0] * np.array([1.0, 0.5, 0.25, 0.0]), rel=1e-9)
    assert terms[0] > 0.0


def test_what_it_adds_up_explains_its_answer(state: GlmState) -> None:
    """The terms of the inputs and the intercept make the factor, and the source's term follows its worth."""
    rows = feature_rows(3, seed=9)
    rows[:, SOURCE] = [GOOD, PLAIN, BAD]
    answer = answer_of(rows)
    terms = state.terms(rows, answer)
    limit = np.log(glm.MAX_FACTOR)
    raw = np.clip(state.intercept + terms.sum(axis=0), -limit, limit) * state.fade(rows, answer)
    np.testing.assert_allclose(state.log_factor(rows, answer), raw, rtol=1e-12)
    worth = terms[INPUT_NAMES.index("source_effect_x_newness")]
    assert worth[0] > worth[1] > worth[2]


def test_a_source_never_seen_is_an_average_one(state: GlmState) -> None:
    """A new source's customers are predicted between the best and the worst, as those without a source are."""
    rows = np.repeat(feature_rows(1, seed=4), 4, axis=0)
    rows[:, SOURCE] = [GOOD, 9_999.0, 0.0, BAD]
    good, unknown, none, bad = state.predict(rows, answer_of(rows)).tolist()
    assert good > unknown == none > bad


def test_newer_windows_count_for_more() -> None:
    """Where customers brought half of what was expected a year ago and twice of it lately, twice counts for more."""
    given = world()
    is_old = given.customer % 2 == 0
    unit = relative.unit_minor(given.features, answer_of(given.features).value_minor)
    changed = given._replace(
        as_of_ms=np.where(is_old, NOW_MS - 450 * DAY_MS, given.as_of_ms), value_minor=np.where(is_old, 0.5, 2.0) * unit
    )
    rows = feature_rows(300, seed=3)
    factor = fitted(changed).log_factor(rows, answer_of(rows))
    assert np.median(factor) > np.log(1.25 * 1.2)


@pytest.mark.parametrize(
    "given",
    [
        windows(0),
        windows(99),
        windows(150)._replace(customer=np.arange(450) % 49),
        windows(150)._replace(value_minor=np.where(np.arange(450) < 29, 500.0, 0.0)),
        windows(150)._replace(span_days=np.full(450, 30.0)),
    ],
    ids=["none", "windows", "customers", "buying", "short"],
)
def test_too_little_to_learn_from_makes_no_regression(given: Windows) -> None:
    """Few windows, few customers, few that bought, or only short ones: None."""
    assert glm.fit(given, PRIOR, now_ms=NOW_MS, horizon_days=90) is None


def test_just_enough_makes_one() -> None:
    """A hundred customers with three windows each do."""
    state = fitted(windows(100))
    assert (state.window_count, state.customer_count, state.btyd_version) == (300, 100, PRIOR.version)


def test_a_rows_bits_do_not_depend_on_the_batch(state: GlmState) -> None:
    """Batches of 1, 7 and 500 give the same bits."""
    rows = feature_rows(500, seed=4)
    rows[:, SOURCE] = np.resize([*FACTORS, 0.0], 500)
    whole = state.predict(rows, answer_of(rows)).tolist()
    for size in (1, 7):
        parts = [state.predict(rows[i : i + size], answer_of(rows[i : i + size])) for i in range(0, 500, size)]
        assert np.concatenate(parts).tolist() == whole


def test_an_empty_batch_is_predicted(state: GlmState) -> None:
    """No rows give no predictions."""
    rows = np.zeros((0, len(FEATURE_NAMES)))
    assert state.predict(rows, answer_of(rows)).tolist() == []


def test_corrections_fade_beyond_the_support(state: GlmState) -> None:
    """Up to the support the whole correction counts, at four times it half, far beyond hardly any."""
    rows = feature_rows(200, seed=6)
    answer = answer_of(rows)
    unit = relative.unit_minor(rows, answer.value_minor)
    full = msgspec.structs.replace(state, support_minor=float(unit.max())).log_factor(rows, answer)
    for times, share in ((4.0, 0.5), (1e6, 1e-3)):
        place = int(np.argmax(np.abs(full)))
        faded = msgspec.structs.replace(state, support_minor=float(unit[place]) / times).log_factor(rows, answer)
        assert faded[place] == pytest.approx(share * full[place], rel=1e-9)
        assert (np.abs(faded) <= np.abs(full)).all()


def test_the_support_is_near_the_greatest_learnt_from() -> None:
    """All but one in fifty of the customers it has seen lie inside."""
    given = world()
    unit = relative.unit_minor(given.features, answer_of(given.features).value_minor)
    assert (unit > fitted(given).support_minor).mean() == pytest.approx(0.02, abs=0.001)


def test_absurd_rows_get_finite_bounded_answers(state: GlmState) -> None:
    """Rows beyond all reason are positive, finite and at most five times the base's unit."""
    rows = np.vstack([absurd_rows(), feature_rows(100, seed=8)])
    answer = answer_of(rows)
    predicted = state.predict(rows, answer)
    assert ((predicted > 0) & (predicted <= btyd.MAX_PREDICTION_MINOR)).all()
    unit = relative.unit_minor(rows, answer.value_minor)
    assert (predicted <= glm.MAX_FACTOR * unit * (1 + 1e-9)).all()


def test_absurd_windows_leave_it_finite() -> None:
    """Fitted to rows at the edges of what a state can hold, what it learnt is finite and bounded."""
    given = windows(150)
    rows = given.features.copy()
    rows[:5] = absurd_rows()[:5]
    value = given.value_minor.copy()
    value[:5] = [1e14, 0.0, 1e14, 1.0, 1e14]
    state = fitted(given._replace(features=rows, value_minor=value))
    numbers = (*state.weights, *state.means, *state.scales, state.intercept, state.support_minor)
    assert np.isfinite(numbers).all()
    usual = feature_rows(100, seed=8)
    predicted, unit = (
        state.predict(usual, answer_of(usual)),
        relative.unit_minor(usual, answer_of(usual).value_minor),
    )
    assert ((predicted >= unit / glm.MAX_FACTOR - 1e-6) & (predicted <= unit * glm.MAX_FACTOR + 1e-6)).all()


def test_what_never_varies_says_nothing(state: GlmState) -> None:
    """An input that was the same in every window moves no prediction when it changes."""
    rows = feature_rows(50, seed=2)
    before = state.predict(rows, answer_of(rows)).tolist()
    rows[:, FEATURE_INDEX["email_open_rate"]] = 0.9
    rows[:, FEATURE_INDEX["acquisition_cost_minor"]] = 5e6
    assert state.predict(rows, answer_of(rows)).tolist() == before


def test_it_is_plain_json(state: GlmState) -> None:
    """It survives JSON to the last bit, version included."""
    again = msgspec.json.decode(msgspec.json.encode(state), type=GlmState)
    rows = feature_rows(50, seed=2)
    assert again == state
    assert again.version == state.version
    assert again.predict(rows, answer_of(rows)).tolist() == state.predict(rows, answer_of(rows)).tolist()


def test_the_same_windows_give_the_same_version() -> None:
    """Fitting is deterministic; other windows give another version."""
    assert fitted(windows(120)).version == fitted(windows(120)).version != fitted(windows(120, seed=1)).version


def test_other_inputs_are_refused(state: GlmState) -> None:
    """A regression of another build does not answer."""
    rows = feature_rows(2)
    with pytest.raises(FeatureMismatch, match="inputs"):
        msgspec.structs.replace(state, input_digest="other").predict(rows, answer_of(rows))


def test_input_is_left_alone() -> None:
    """The caller's windows are as they were."""
    given = windows(120)
    before = [column.copy() for column in given]
    fitted(given)
    assert [column.tolist() for column in given] == [column.tolist() for column in before]
