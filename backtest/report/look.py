"""How every picture looks: one canvas, one palette that colour-blind readers can tell apart, one way to write numbers.

Matplotlib is imported when something is drawn: on import it makes folders and a font cache.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from clv.ports import Floats

INK, MUTED, RULE, PAPER = "#1d2733", "#5b6773", "#d9dee3", "#ffffff"
_DPI = 200  # shown 760 pixels wide, drawn 1520: sharp on dense screens
_WIDTH_INCHES = 7.6
_TITLE_CHARACTERS = 82
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same picture on every machine
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a feature called $x is no formula
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9.0,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "date.converter": "concise",
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


class Ink(NamedTuple):
    """How a model is drawn: colours from Okabe and Ito's palette, and a dash and a marker for those who see none."""

    colour: str
    dash: str
    marker: str
    width: float = 1.6


SCORE = Ink("#0072b2", "-", "o", 2.4)
ACTUAL = Ink("#1d2733", "-", "D", 1.4)
_KNOWN = {
    "predicted": SCORE,
    "btyd": Ink("#d55e00", "--", "s"),
    "online": Ink("#009e73", "-.", "^"),
    "ensemble": Ink("#cc79a7", "-", "v"),
    "naive": Ink("#8a8f94", ":", "x"),
}
_OTHERS = (
    Ink("#e69f00", "-", "P"),
    Ink("#56b4e9", "--", "d"),
    Ink("#6b4e16", "-.", "<"),
    Ink("#b3a800", ":", ">"),
)
_LABELS = {"predicted": "score", "btyd": "BTYD"}


def inks(names: Iterable[str]) -> dict[str, Ink]:
    """Return how each model is drawn: known ones always alike, others in their order."""
    known = list(names)
    others = [name for name in known if name not in _KNOWN]
    return {name: _KNOWN.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in known}


def label(name: str) -> str:
    """Return a model's name for readers: what was given out is the score.

    Examples
    --------
    >>> label("predicted"), label("btyd"), label("online")
    ('score', 'BTYD', 'online')
    """
    return _LABELS.get(name, name)


def drawn_label(name: str, most: int = 24) -> str:
    """Return a model's or feature's name as a picture has room for it.

    Examples
    --------
    >>> drawn_label("btyd"), drawn_label("a_model_with_quite_a_long_name", 12)
    ('BTYD', 'a_model_wit…')
    """
    shown = label(name)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def draw(paint: Callable[[Figure], None], title: str, *, height_inches: float = 3.9) -> bytes:
    """Return a PNG of what ``paint`` draws on an empty figure, below its title; the same bytes for the same data."""
    # Importing it makes folders and a font cache.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    target = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font lacks is drawn as boxes
        mpl.rcdefaults()  # not the user's own style
        mpl.rcParams.update(_STYLE)
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout=layout)
        paint(figure)
        figure.suptitle(_wrapped(title), x=0.012, ha="left", fontsize=11.0, fontweight="bold")
        figure.savefig(target, format="png", dpi=_DPI, metadata={"Software": ""})
    return target.getvalue()


def _wrapped(title: str) -> str:
    """Break a title into as few lines as it needs, about equally long, never before a per cent sign."""
    unbreakable = title.replace(" %", "\u00a0%")
    lines = textwrap.wrap(unbreakable, _TITLE_CHARACTERS)
    width = len(unbreakable) // max(len(lines), 1)
    while len(balanced := textwrap.wrap(unbreakable, width)) > len(lines):
        width += 1
    return "\n".join(balanced)


def line(axes: Axes, dates: Any, values: Floats, name: str, ink: Ink) -> Artist:
    """Draw one model's line over time; a single week is a point."""
    (drawn,) = axes.plot(
        dates,
        values,
        color=ink.colour,
        linestyle=ink.dash,
        linewidth=ink.width,
        marker=ink.marker if len(values) == 1 else "",
        label=drawn_label(name),
        zorder=3 if name == "predicted" else 2,
    )
    return drawn


def legend_below(figure: Figure, handles: Iterable[Artist]) -> None:
    """Explain the lines below the picture, in one row if they fit."""
    shown = list(handles)
    figure.legend(handles=shown, loc="outside lower left", ncols=min(len(shown), 6), handlelength=2.6)


def in_words(axis: Axis, write: Callable[[float], str]) -> None:
    """Write an axis' numbers by ``write``, its minor ones not at all."""
    axis.set_major_formatter(lambda value, _: write(value))
    axis.set_minor_formatter(lambda _value, _: "")


def caption(axes: Axes, text: str) -> None:
    """Say above a panel what it shows, and in which unit."""
    axes.set_title(text, pad=7)


def short(value: float) -> str:
    """Write a number for an axis.

    Examples
    --------
    >>> [short(value) for value in (0, 0.25, 7, 12.5, 950, 12_000, 3_400_000)]
    ['0', '0.25', '7', '12.5', '950', '12k', '3.4M']
    """
    for size, suffix in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """Write a share for an axis.

    Examples
    --------
    >>> percent(0.9), percent(0.125), percent(0.0004)
    ('90 %', '12.5 %', '0.04 %')
    """
    return f"{100 * share:.3g} %"


def signed_percent(share: float) -> str:
    """Write a relative difference for an axis.

    Examples
    --------
    >>> signed_percent(-0.015), signed_percent(0.02), signed_percent(0.0)
    ('−1.5 %', '+2 %', '0 %')
    """
    return f"{100 * share:+.3g} %".replace("-", "−") if abs(share) >= 5e-6 else "0 %"
