"""Customers known by totals alone: sane answers, exact money, honest confidence."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.budget import cac_target_minor
from clv.errors import IncompatibleArtifact
from clv.features import FEATURE_INDEX
from clv.segments import SegmentPolicy
from clv.summary import CustomerSummary, check_summary
from models import aggregated, btyd
from models.aggregated import AggregatedModel, Predictions, predict
from models.summaries import Summaries, histories_of, summaries_of, summaries_of_features
from tests.unit.models.histories import feature_rows
from tests.unit.models.summary_worlds import AS_OF_MS, examples, fitted, summaries


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Fit before Hypothesis looks at its clock."""
    for has_labels in (False, True):
        _model(has_labels=has_labels)


@cache
def _model(*, has_labels: bool) -> AggregatedModel:
    return fitted(examples() if has_labels else None).model


def _answer(*, has_labels: bool = False, **figures: object) -> Predictions:
    fields: dict[str, object] = {
        "total_orders": 4,
        "total_spent": 200,
        "days_since_first_purchase": 200,
        "days_since_last_purchase": 20,
    }
    return predict(_model(has_labels=has_labels), summaries_of([check_summary(fields | figures, digits=2)]))


@st.composite
def _summaries(draw: st.DrawFn) -> CustomerSummary:
    first = draw(st.floats(0, 36_500))
    orders = draw(st.integers(1, 100_000))
    return CustomerSummary(
        order_count=orders,
        spent_minor=draw(st.integers(0, 10**14 - 1)),
        first_purchase_days=first,
        last_purchase_days=first if orders == 1 else draw(st.floats(0, first)),
        category_count=draw(st.integers(-1, 10_000)),
        acquisition_source=draw(st.sampled_from(["", "search", "social", "unheard of"])),
        acquisition_cost_minor=draw(st.integers(-1, 10**14 - 1)),
        engagement_rate=draw(st.floats(0, 1) | st.just(-1.0)),
        return_rate=draw(st.floats(0, 1) | st.just(-1.0)),
    )


@pytest.mark.parametrize("has_labels", [False, True], ids=["no-labels", "labels"])
@given(one=_summaries())
def test_every_possible_customer_gets_a_bounded_answer(has_labels: bool, one: CustomerSummary) -> None:  # noqa: FBT001
    """Finite and ordered, CAC exact to the cent, why adding up: whatever the totals are."""
    answer = predict(_model(has_labels=has_labels), summaries_of([one]))
    clv = int(answer.predicted_minor[0])
    assert 0 <= answer.lower_minor[0] <= clv <= answer.upper_minor[0] <= btyd.MAX_PREDICTION_MINOR * 20
    assert 0 <= answer.churn_probability[0] <= 1
    assert sum(amount for _, amount in answer.why(0)) == clv - answer.base_minor
    expected = (Decimal(clv) * Decimal("0.30")).quantize(Decimal(1), ROUND_HALF_UP)
    assert [expected] == answer.recommended_cac_minor


@given(
    orders=st.integers(2, 30),
    spent_minor=st.integers(1_000, 10**7),
    first=st.integers(60, 700),
    data=st.data(),
)
def test_longer_silence_is_worth_less(orders: int, spent_minor: int, first: int, data: st.DataObject) -> None:
    """Of two customers with the same purchases, the one who bought later is worth no less, and likelier here."""
    sooner, later = sorted(data.draw(st.tuples(*[st.integers(0, first - orders)] * 2)))
    both = summaries_of(
        [
            CustomerSummary(
                order_count=orders, spent_minor=spent_minor, first_purchase_days=first, last_purchase_days=last
            )
            for last in (sooner, later)
        ]
    )
    answer = predict(_model(has_labels=False), both)
    assert answer.predicted_minor[0] >= answer.predicted_minor[1]
    assert answer.churn_probability[0] <= answer.churn_probability[1]


@given(one=_summaries(), more=st.floats(1.0, 10.0), returned=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_dearer_orders_are_worth_more_and_returns_less(
    one: CustomerSummary, more: float, returned: tuple[float, float]
) -> None:
    """Spending more on as many orders raises the prediction; sending more back lowers it."""
    rows = summaries_of([one] * 4)
    spent = rows.spent_minor * np.array([1.0, more, 1.0, 1.0])
    rate = np.array([0.1, 0.1, *sorted(returned)])
    answer = predict(_model(has_labels=False), rows._replace(spent_minor=spent, return_rate=rate))
    assert answer.predicted_minor[0] <= answer.predicted_minor[1]
    assert answer.predicted_minor[2] >= answer.predicted_minor[3]


def test_who_sends_most_back_is_worth_little() -> None:
    """Of twenty orders all sent back, what five orders of the average customer count is left."""
    many = [_answer(total_orders=20, total_spent=1_000, return_rate=rate) for rate in (0, 1)]
    kept, back = (int(answer.predicted_minor[0]) for answer in many)
    population = _model(has_labels=False).return_rate
    expected = (1 - (20 + 5 * population) / 25) / (1 - 5 * population / 25)
    assert back / kept == pytest.approx(expected, abs=0.01)


def test_the_readme_figures_of_a_cac() -> None:
    """30 % of 892.50 is 267.75; half a cent goes up."""
    assert [cac_target_minor(clv) for clv in (89_250, 5, 1, 2)] == [26_775, 2, 0, 1]


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """One customer or all at once: the same answer."""
    for has_labels in (False, True):
        model, rows = _model(has_labels=has_labels), summaries(50, seed=3)
        together = predict(model, rows)
        for place in range(50):
            one = Summaries(*(column[place : place + 1] for column in rows))  # type: ignore[arg-type]  # each its kind
            alone = predict(model, one)
            assert alone.predicted_minor[0] == together.predicted_minor[place]
            assert alone.upper_minor[0] == together.upper_minor[place]
            assert alone.why(0) == together.why(place)


def test_more_orders_than_days_count_as_days() -> None:
    """BTYD counts purchase days: five orders within two days are at most three of them."""
    rows = summaries(1)._replace(order_count=np.array([5.0]), first_days=np.array([9.0]), last_days=np.array([7.0]))
    assert histories_of(rows).x.tolist() == [2.0]


def test_the_base_is_the_mean_and_segments_are_its_percentiles() -> None:
    """Of the customers that were fitted a fifth is High-CLV, half is Low-CLV, and the mean is the base."""
    answer = predict(_model(has_labels=False), summaries())
    assert answer.base_minor == pytest.approx(answer.predicted_minor.mean(), abs=1)
    shares = [answer.segment.count(name) / 600 for name in ("High-CLV", "Growth-Potential", "Low-CLV")]
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.01)


def test_published_cut_offs_rule() -> None:
    """With a policy its amounts decide, not the percentiles of the file."""
    policy = SegmentPolicy("p", 0, high_minor=0, growth_minor=0)
    assert set(predict(_model(has_labels=False), summaries(), policy).segment) == {"High-CLV"}


def test_confidence_is_never_high_without_labels() -> None:
    """However narrow BTYD's own interval is; and Low where the fit has seen too few customers."""
    answer = predict(_model(has_labels=False), summaries())
    assert set(answer.confidence) == {"Medium", "Low"}
    few = aggregated.fit(summaries(50), currency="USD", horizon_days=90, as_of_ms=AS_OF_MS).model
    assert set(predict(few, summaries()).confidence) == {"Low"}


def test_unknown_figures_change_nothing_against_the_population() -> None:
    """A customer without a return rate is taken for an average one; without labels the source does not matter."""
    model = _model(has_labels=False)
    unknown = _answer().predicted_minor[0]
    assert _answer(return_rate=model.return_rate).predicted_minor[0] == pytest.approx(unknown, abs=1)
    assert _answer(acquisition_source="search", num_categories=9).predicted_minor[0] == unknown


def test_labels_teach_what_a_source_is_worth() -> None:
    """Examples in which search is worth four times social move predictions that way, and say so."""
    search = _answer(has_labels=True, acquisition_source="search")
    social = _answer(has_labels=True, acquisition_source="social")
    assert search.predicted_minor[0] > 1.5 * social.predicted_minor[0]
    assert search.contributions["acquisition_source"][0] > 0 > social.contributions["acquisition_source"][0]


def test_features_reduce_to_the_summary_of_the_same_customer() -> None:
    """What is zero because nothing was sent, bought or acquired is unknown."""
    rows = feature_rows(3)
    rows[:, FEATURE_INDEX["email_sent_count"]] = (0, 2, 2)
    rows[:, FEATURE_INDEX["email_open_rate"]] = (0, 0, 0.5)
    rows[:, FEATURE_INDEX["category_count"]] = (0, 1, 2)
    reduced = summaries_of_features(rows, ["", "a", "b"], ["", "", ""])
    assert np.isnan(reduced.engagement_rate).tolist() == [True, False, False]
    assert np.isnan(reduced.category_count).tolist() == [True, False, False]
    span = rows[:, FEATURE_INDEX["last_purchase_age_days"]]
    assert (reduced.first_days - reduced.last_days).tolist() == pytest.approx(span.tolist())


@pytest.mark.parametrize("has_labels", [False, True], ids=["no-labels", "labels"])
def test_a_model_survives_storage(has_labels: bool) -> None:  # noqa: FBT001
    """Written and read, it answers the same; the same fit has the same digest."""
    model = _model(has_labels=has_labels)
    again = aggregated.decode(aggregated.encode(model))
    assert again == model
    assert aggregated.digest_of(fitted(examples() if has_labels else None).model) == aggregated.digest_of(model)
    assert (
        predict(again, summaries(20)).predicted_minor.tolist() == predict(model, summaries(20)).predicted_minor.tolist()
    )


@pytest.mark.parametrize(
    "payload", [b"{}", b"not json", b'{"kind":"scorer"}'], ids=["empty", "no-json", "another-kind"]
)
def test_other_bytes_are_refused(payload: bytes) -> None:
    """Neither another kind of artifact nor a damaged one is read."""
    with pytest.raises(IncompatibleArtifact):
        aggregated.decode(payload)


def test_another_format_is_refused() -> None:
    """A newer build's model is not guessed at."""
    payload = aggregated.encode(_model(has_labels=False)).replace(b'"format":1', b'"format":2')
    with pytest.raises(IncompatibleArtifact, match="format 2"):
        aggregated.decode(payload)
