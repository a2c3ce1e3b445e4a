"""Train the scikit-learn ensemble from matured examples and export it to ONNX.

RandomForest and GradientBoosting learn the ratio to the regression on BTYD, weighted so that errors count as deviance;
their weights in the ensemble come from examples later in time than those that the trial fits have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from clv.errors import NotTrained
from models import btyd, relative
from models.ensemble import FORMAT, MAX_FACTOR, EnsembleArtifact, tree_inputs
from models.evaluation import tweedie_deviance
from models.onnx_export import checked_export
from models.relative import INPUT_DIGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.ports import Floats, Ints
    from models.custom import CustomModel
    from models.glm import GlmState

MAX_EXAMPLES = 12_000
MIN_EXAMPLES = 200
HELD_OUT_SHARE = 0.25


class ExampleArrays(NamedTuple):
    """n matured examples: features (n, len(FEATURE_NAMES)) and, of shape (n,), value realised and moment predicted."""

    features: Floats
    value_minor: Floats
    as_of_ms: Ints


def train(
    examples: ExampleArrays,
    base: btyd.BtydParams,
    glm: GlmState | None = None,
    *,
    horizon_days: float,
    seed: int = 0,
    custom: Sequence[CustomModel] = (),
) -> bytes:
    """Train both models, and the custom ones beside them, and return the ensemble's artifact.

    Parameters
    ----------
    examples
        In any order; at most ``MAX_EXAMPLES`` are sampled.
    base, glm
        What the ratios refer to: the regression's prediction where there is one, else BTYD's.
    seed
        Decides sampling and trees: the same input and seed give the same predictions.
    custom
        Fitted to the same rows; those that prove unsound are left out.

    Raises
    ------
    NotTrained
        With fewer than ``MIN_EXAMPLES`` examples; more may come later.
    IncompatibleArtifact
        When the exported model does not answer as scikit-learn does; retrying does not help.
    """
    if len(examples.value_minor) < MIN_EXAMPLES:
        raise NotTrained(f"{len(examples.value_minor)} matured examples, an ensemble needs {MIN_EXAMPLES}")
    sample = _sample_in_time_order(examples, seed)
    answer = btyd.answer(base, btyd.histories_of(sample.features), horizon_days=horizon_days)
    expected = glm.predict(sample.features, answer) if glm else answer.value_minor
    unit = relative.unit_minor(sample.features, expected)
    rows, target = tree_inputs(sample.features, unit), relative.ratio(sample.value_minor, unit, sample.features)
    weight = np.sqrt(np.minimum(unit, np.quantile(unit, 0.99)))
    weight = weight / weight.mean()
    known = int(len(unit) * (1.0 - HELD_OUT_SHARE))
    deviance: dict[str, float] = {}
    for name, model in _new_models(seed).items():
        model.fit(rows[:known], target[:known], sample_weight=weight[:known])
        predicted = unit[known:] * np.clip(model.predict(rows[known:]), 1.0 / MAX_FACTOR, MAX_FACTOR)
        deviance[name] = float(tweedie_deviance(sample.value_minor[known:], predicted).mean())
    members: dict[str, bytes] = {}
    for name, model in _new_models(seed).items():
        model.fit(rows, target, sample_weight=weight)
        members[name] = checked_export(model, rows)
    artifact = EnsembleArtifact(
        format=FORMAT,
        input_digest=INPUT_DIGEST,
        weights=_weights(deviance),
        held_out_deviance=deviance,
        example_count=len(unit),
        btyd_version=base.version,
        members=members,
        custom={one.name: fitted for one in custom if (fitted := one.fit(rows, target, weight))},
    )
    return msgspec.msgpack.encode(artifact)


def _new_models(seed: int) -> dict[str, Any]:
    return {
        "forest": RandomForestRegressor(
            n_estimators=50, max_depth=6, min_samples_leaf=60, max_features=0.3, random_state=seed, n_jobs=1
        ),
        "boosting": GradientBoostingRegressor(
            n_estimators=60,
            learning_rate=0.05,
            max_depth=3,
            min_samples_leaf=100,
            max_features=0.4,
            subsample=0.6,
            random_state=seed,
        ),
    }


def _sample_in_time_order(examples: ExampleArrays, seed: int) -> ExampleArrays:
    order = np.argsort(examples.as_of_ms, kind="stable")
    if len(order) > MAX_EXAMPLES:
        chosen = np.random.default_rng(seed).choice(len(order), MAX_EXAMPLES, replace=False)
        order = order[np.sort(chosen)]
    return ExampleArrays(examples.features[order], examples.value_minor[order], examples.as_of_ms[order])


def _weights(deviance: dict[str, float]) -> dict[str, float]:
    # Steep, so that a clearly worse member loses its say, yet equal members share equally.
    strength = {name: max(value, 1e-12) ** -4 for name, value in deviance.items()}
    total = sum(strength.values())
    return {name: value / total for name, value in strength.items()}
