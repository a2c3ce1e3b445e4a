"""Picture of what the newest models look at: how much worse the score is without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtest.report.look import MUTED, SCORE, caption, draw, drawn_label, in_words, signed_percent
from backtest.report.picture import Picture, day_cell, table, text
from models.hybrids import GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtest.report.run_lines import RunLines

_FEATURES = 12
_GROUP_OF = {feature: group for group, features in GROUPS.items() for feature in features}
Rises = dict[str, float]


def feature_importance(log: RunLines) -> Picture:
    """Draw by how much the deviance rises when a group of features, and a feature alone, is shuffled."""
    slug, topic = "importance", "Feature importance"
    measured = log.importance
    if measured is None or not measured.groups or log.importance_day is None:
        return Picture(slug=slug, topic=topic, absence="The run log holds no feature importance: none was measured.")
    groups, features = _ranked(measured.groups), _ranked(measured.features)
    shown = dict(list(features.items())[:_FEATURES])
    finding = _finding(groups)
    day = day_cell(log.importance_day)

    def paint(figure: Figure) -> None:
        panels = (groups, shown) if shown else (groups,)
        ratios = [len(panel) + 1.6 for panel in panels]
        drawn = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        _paint(drawn[0], groups, f"Rise of the deviance when a group of features is shuffled, models of {day}")
        for axes in drawn[1:]:
            _paint(axes, shown, "… when a feature alone is")

    reading = (
        f"Permutation importance of the score on the newest {text(measured.example_count)} examples that had matured "
        "by the last refit: what is shuffled is exchanged between customers, and the deviance is that much higher. A "
        "group is exchanged whole; a feature alone says less the more others of its group say the same. It says what "
        "the models use, not what causes value."
    )
    if len(features) > _FEATURES:
        reading += f" The {_FEATURES} largest of {len(features)} features are drawn."
    rows = [[name, "all of it", _percent(rise)] for name, rise in groups.items()]
    rows += [[_GROUP_OF.get(name, "–"), name, _percent(rise)] for name, rise in features.items()]
    return Picture(
        slug=slug,
        topic=topic,
        finding=finding,
        reading=reading,
        alt=f"Bars of feature importance. {finding}.",
        table=table(["group", "feature", "rise of the deviance"], rows),
        png=draw(paint, finding, height_inches=1.7 + 0.24 * (len(groups) + len(shown))),
    )


def _finding(groups: Rises) -> str:
    (first, most), *others = groups.items()
    if most <= 0.0:
        return "No group of features lowers the deviance: shuffled, none raises it"
    also = [f"{name} {_percent(rise)}" for name, rise in others[:2] if rise > 0.0]
    finding = (
        f"{first.capitalize()} counts most: shuffled between customers, it raises the deviance by {_percent(most)}"
    )
    return f"{finding}; {', '.join(also)}" if also else finding


def _paint(axes: Axes, rises: Rises, what: str) -> None:
    positions = range(len(rises))
    bars = axes.barh(positions, list(rises.values()), color=SCORE.colour, height=0.66)
    axes.bar_label(bars, [_percent(rise) for rise in rises.values()], padding=4, fontsize=8, color=MUTED)
    axes.set_yticks(positions, [drawn_label(name, 40) for name in rises])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.margins(x=0.12)
    in_words(axes.xaxis, signed_percent)
    caption(axes, what)


def _ranked(rises: Rises) -> Rises:
    return dict(sorted(rises.items(), key=lambda pair: (-pair[1], pair[0])))


def _percent(rise: float) -> str:
    return f"{100 * rise:.1f} %".replace("-", "−")
