"""A model of your own, as small as one can be: customers silent for about as long are worth about the same ratio.

Install it beside the product (``pip install ./examples/custom_model``) and its entry point offers it as a challenger.
"""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer

SILENCE_COLUMN = 4  # days_since_last_order, in the order of models.relative.INPUT_NAMES; inputs are log1p
STEPS = 10
SHRINKAGE = 50.0  # a step of as many customers goes half the way from the mean of all to its own


def silence_steps() -> Pipeline:
    """Return a regressor of scikit-learn's, unfitted: ten steps of silence, each shrunk towards the mean of all."""
    steps = KBinsDiscretizer(STEPS, encode="onehot-dense", strategy="quantile", quantile_method="averaged_inverted_cdf")
    return Pipeline(
        [
            ("silence", ColumnTransformer([("steps", steps, [SILENCE_COLUMN])])),
            ("ridge", Ridge(alpha=SHRINKAGE)),
        ]
    )
