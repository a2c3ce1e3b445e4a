"""All pictures of the report, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtest.report.behaviour import expected_orders, probability_alive
from backtest.report.calibration import calibration_by_decile, cumulative_gain
from backtest.report.champions import champion_timeline
from backtest.report.importance import feature_importance
from backtest.report.intervals import interval_coverage
from backtest.report.prequential import deviance_over_time
from backtest.report.totals import ratio_by_order_count, totals_over_time

if TYPE_CHECKING:
    from backtest.report.behaviour import Histories
    from backtest.report.champions import Span
    from backtest.report.picture import Picture
    from backtest.report.run_lines import RunLines
    from backtest.report.scored import Scored
    from models.bgnbd import BgNbdParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What pictures are drawn from.

    Parameters
    ----------
    spans
        Which model answered when.
    histories, params
        The log's final histories, and BG/NBD fitted to them.
    nominal_coverage
        Share of moments (0-1) that intervals were meant to hold.
    """

    scored: Scored
    spans: list[Span]
    log: RunLines
    histories: Histories
    params: BgNbdParams
    currency: str
    horizon_days: int
    nominal_coverage: float


def all_pictures(scene: Scene) -> list[Picture]:
    """Draw everything; a picture without data says why instead."""
    scored, days = scene.scored, scene.horizon_days
    return [
        deviance_over_time(scored, scene.currency),
        calibration_by_decile(scored, scene.currency, days),
        cumulative_gain(scored),
        totals_over_time(scored, scene.currency, days),
        ratio_by_order_count(scored),
        interval_coverage(scored, scene.nominal_coverage),
        champion_timeline(scene.spans, scene.log),
        feature_importance(scene.log),
        expected_orders(scene.params, scene.histories, days),
        probability_alive(scene.params, scene.histories),
    ]
