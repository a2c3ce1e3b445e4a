"""Model cards as data."""

from __future__ import annotations

import msgspec
import pytest

from clv.errors import IncompatibleArtifact
from models import btyd
from models.card import Evidence, Importance, ModelCard, Pin, Switch, Window, ensemble_facts
from models.drift import Alarm
from models.ensemble import Ensemble
from tests.unit.models.histories import example, example_arrays, feature_rows
from tests.unit.models.test_training import taught

CARD = ModelCard(
    name="scorer",
    version="000002-ab",
    sequence=2,
    digest="d",
    cause="switch",
    learned_through_at="2024-01-02T00:00:00Z",
    horizon_days=90,
    feature_digest="f",
    features=("order_count", "return_rate"),
    window=Window(1, "a", "b", "a", "b"),
    customers=120,
    repeat_customers=79,
    training={"refit_days": 28, "champion_margin": 0.01},
    members={"btyd": "1"},
    weights={"btyd": 1.0},
    ensemble_digest="",
    ensemble=None,
    metrics={"clv": {"count": 3, "mae": 1.5}},
    relative_errors={"btyd": 1.0, "online": None},
    champion="online",
    switch=Switch("000002-ab", "t", "error", "btyd", "online", Evidence({"online": 0.9}, 600, 0.01, "btyd")),
    pin=Pin("t", champion="online"),
    parent="000001-cd",
    drift=(Alarm("error:order", "t", 1.0, 0.5, 500),),
    importance=Importance("000002-ab", 300, 2.5, groups={"refunds": -0.01}, features={"return_rate": -0.01}),
)


def test_a_card_comes_back_from_its_text() -> None:
    """Every field, and the same text again; what a newer build has added is passed over."""
    assert ModelCard.from_json(CARD.to_json()) == CARD
    newer = msgspec.json.encode(msgspec.json.decode(CARD.to_json()) | {"novelty": 1}).decode()
    assert ModelCard.from_json(newer).to_json() == CARD.to_json()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"name": 3}'])
def test_what_is_no_card_is_refused(text: str) -> None:
    """Rubbish in the store is an error of ours, not of the decoder."""
    with pytest.raises(IncompatibleArtifact, match="no"):
        ModelCard.from_json(text)


def test_a_card_of_an_earlier_build_is_read() -> None:
    """It was stored before anybody measured what the models look at: that is not known of it, all else is."""
    stored = msgspec.json.decode(CARD.to_json())
    del stored["importance"]
    found = ModelCard.from_json(msgspec.json.encode(stored).decode())
    assert found == msgspec.structs.replace(CARD, importance=None)


def test_a_window_is_from_the_first_to_the_last_example() -> None:
    """It counts every example, and keeps the first one's moments."""
    window, given = Window(), example(feature_rows(1)[0], 1.0)
    later = msgspec.structs.replace(given, as_of="1998-01-01T00:00:00Z", matured_at="1998-04-01T00:00:00Z")
    for one in (given, given, later):
        window.add(one)
    assert window == Window(3, given.as_of, given.matured_at, later.as_of, later.matured_at)


def test_an_ensembles_facts_are_its_own() -> None:
    """Weights, held-out deviance, examples and base as the artifact says, without opening its models."""
    learner = taught(0)
    learner.refit_btyd(btyd.histories_of(feature_rows(200)))
    blob = learner.refit_ensemble(example_arrays(300))
    facts, artifact = ensemble_facts(blob), Ensemble(blob).artifact
    assert (facts.weights, facts.held_out_deviance) == (artifact.weights, artifact.held_out_deviance)
    assert (facts.example_count, facts.btyd_version) == (300, artifact.btyd_version)
    assert set(facts.weights) == {"forest", "boosting"}
    with pytest.raises(IncompatibleArtifact):
        ensemble_facts(b"rubbish")
