"""A model's error as people read it: in the currency's major unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def error_figures(metrics: Mapping[str, float], digits: int) -> dict[str, float]:
    """Return prequential figures in major units: MAE scales with the unit, Tweedie deviance of power 1.5 with its root.

    Parameters
    ----------
    metrics
        Any of ``count``, ``deviance``, ``mae``, ``ratio``; money in minor units.
    digits
        Decimals of the currency.

    Examples
    --------
    >>> error_figures({"count": 200, "deviance": 150.0, "mae": 2500.0, "ratio": 1.01}, digits=2)
    {'examples': 200, 'deviance': 15.0, 'mae': 25.0, 'ratio': 1.01}
    """
    scales = {"deviance": 10.0 ** (digits / 2), "mae": 10.0**digits, "ratio": 1.0}
    figures: dict[str, float] = {"examples": int(metrics["count"])} if "count" in metrics else {}
    return figures | {name: round(metrics[name] / scale, 4) for name, scale in scales.items() if name in metrics}
