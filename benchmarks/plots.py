"""Pictures of what the benchmarks found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Panel(NamedTuple):
    """One diagram: a line for each name, its x as text to value; ``bound`` is drawn dashed."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Mapping[str, float]]
    bound: float | None = None


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Draw panels side by side, x logarithmic, y from 0, and write them as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # half a second that only this needs
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        for name, points in panel.lines.items():
            axes.plot([float(x) for x in points], list(points.values()), marker="o", label=name)
        if panel.bound is not None:
            axes.axhline(panel.bound, linestyle="--", color="grey", label="target")
        axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label, xscale="log")
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        if len(panel.lines) > 1 or panel.bound is not None:
            axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
