"""The typical customer: medians that make one customer."""

from __future__ import annotations

import numpy as np
import pytest

from clv.features import FEATURE_NAMES
from clv.rules import DAY_MS
from clv.totals import Attributes, Totals, extract
from clv.windows import Windows, WindowSample
from models import btyd
from models.reference import PRIOR_TYPICAL, typical
from models.snapshot import ScorerSnapshot
from models.training import Learner
from tests.unit.models.histories import START_MS, feature_rows

NOW_MS = 200 * DAY_MS - 1


def customer(*amounts: int, every_days: int = 10) -> Totals:
    """Return a customer who buys every so many days from day 0 on."""
    totals = Totals()
    for place, amount in enumerate(amounts):
        totals.fold_order(place * every_days * DAY_MS, amount)
    return totals


def windows(*rows: tuple[int, Totals, int, int]) -> Windows:
    """Return windows of (customer, totals, day at whose end it begins, value since)."""
    as_of = np.array([(day + 1) * DAY_MS - 1 for _, _, day, _ in rows], dtype=np.int64)
    features = [extract(row[1], int(at), Attributes(1, 300, 7, 8, 9)) for row, at in zip(rows, as_of, strict=True)]
    value = np.array([float(row[3]) for row in rows])
    numbers = np.array([row[0] for row in rows], dtype=np.int64)
    return Windows(np.array(features), as_of, np.full(len(rows), 90.0), value, numbers)


def named(row: tuple[float, ...]) -> dict[str, float]:
    """Return a row by names."""
    return dict(zip(FEATURE_NAMES, row, strict=True))


def test_medians_over_latest_windows_make_one_customer() -> None:
    """Whom one sees twice counts once, as seen last; the row is one that extraction could have given."""
    regular = customer(1_000, 1_000, 1_000)
    found = named(
        typical(
            windows((0, customer(90_000), 0, 5), (0, regular, 20, 0), (1, regular, 20, 0), (2, customer(500), 30, 0)),
            NOW_MS,
        )
    )
    expected = named(extract(regular, NOW_MS, Attributes(1, 300)))
    assert found == pytest.approx(expected)


def test_silence_goes_on_until_now_unless_something_came() -> None:
    """A window lies in the past: who has bought nothing since is as silent as that; who has bought, is not."""
    silent = named(typical(windows((0, customer(1_000), 0, 0)), NOW_MS))
    active = named(typical(windows((0, customer(1_000), 0, 800)), NOW_MS))
    assert (silent["customer_age_days"], active["customer_age_days"]) == (199.0, 0.0)
    assert silent["days_since_last_order"] == pytest.approx(200.0, abs=1e-6)
    assert silent["recent_purchases_30d"] == pytest.approx(2.0 ** (-199 / 30))


def test_nobody_is_typical_of_nobody() -> None:
    """Without windows there is no reference."""
    assert typical(WindowSample().windows(), NOW_MS) == ()


def test_a_refit_says_who_is_typical_and_snapshots_carry_it() -> None:
    """Through the learner's state and the snapshot's bytes; the next refit without windows leaves it."""
    learner = Learner(90)
    assert learner.snapshot(START_MS).reference == ()
    learner.refit_btyd(btyd.histories_of(feature_rows(200)))
    learner.refit_glm(windows((0, customer(1_000), 0, 0)), NOW_MS)
    restored = Learner.from_state(learner.to_state(), horizon_days=90)
    restored.refit_glm(WindowSample().windows(), NOW_MS)
    snapshot = restored.snapshot(START_MS)
    assert snapshot.reference == typical(windows((0, customer(1_000), 0, 0)), NOW_MS)
    assert ScorerSnapshot.from_bytes(snapshot.to_bytes()) == snapshot


def test_snapshots_from_before_there_was_a_reference_are_read() -> None:
    """Their name is the digest of a content without it."""
    data = b'{"sequence":7,"learned_through_ms":0,"horizon_days":90,"version":"%s"}'
    version = ScorerSnapshot(7, 0, 90).named().version
    assert version == "000007-2744512327d7"
    assert ScorerSnapshot.from_bytes(data % version.encode()).reference == ()


def test_the_priors_typical_customer_could_exist() -> None:
    """One purchase of 50.00, 90 days ago."""
    assert named(PRIOR_TYPICAL) == pytest.approx(named(extract(customer(5_000), 90 * DAY_MS, Attributes())))
