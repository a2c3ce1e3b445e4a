"""Contrast on the glass, worked out for the worst that can shine through: no checker sees through a backdrop."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

Colour = tuple[float, float, float]
CSS = (Path(__file__).parents[3] / "api" / "dashboard" / "app.css").read_text(encoding="utf-8")
SCREEN = CSS.partition("@media print")[0]
PRINT = CSS.partition("@media print")[2]
TEXT_RATIO, GRAPHIC_RATIO = 4.5, 3.0
"""WCAG 2.2, 1.4.3 and 1.4.11."""


def _variable(css: str, name: str) -> str:
    found = re.search(rf"--{name}: ([^;]+);", css)
    assert found is not None
    return found[1]


def _colour(text: str) -> tuple[Colour, float]:
    """Return a colour's parts, 0 to 255, and its opacity."""
    if text.startswith("#"):
        digits = text[1:] if len(text) == 7 else "".join(2 * each for each in text[1:])
        red, green, blue = (float(int(digits[place : place + 2], 16)) for place in (0, 2, 4))
        return (red, green, blue), 1.0
    red, green, blue, opacity = (float(part) for part in re.findall(r"[\d.]+", text))
    return (red, green, blue), opacity


def _over(upper: tuple[Colour, float], lower: Colour) -> Colour:
    (red, green, blue), opacity = upper
    mixed = [opacity * own + (1 - opacity) * under for own, under in zip((red, green, blue), lower, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: Colour, other: Colour) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _grounds() -> list[Colour]:
    """Return what lies under the cards: the plain ground, each glow at its brightest, and both together."""
    ground, _ = _colour(_variable(SCREEN, "ground"))
    glows = [_colour(f"rgba({found})") for found in re.findall(r"radial-gradient\([^,]+, rgba\(([^)]+)\)", SCREEN)]
    assert len(glows) == 2
    both = _over(glows[0], _over(glows[1], ground))
    return [ground, *(_over(glow, ground) for glow in glows), both]


@pytest.mark.parametrize("name", ["ink", "soft", "sky", "amber", "green", "rose"])
def test_text_on_a_card_is_readable_whatever_shines_through(name: str) -> None:
    """Each colour of text has 4.5 to 1 on a card over the brightest glow, and on solid surfaces."""
    text, _ = _colour(_variable(SCREEN, name))
    card = _colour(_variable(SCREEN, "card"))
    surfaces = [*(_over(card, ground) for ground in _grounds()), _colour(_variable(SCREEN, "solid"))[0]]
    assert min(_contrast(text, surface) for surface in surfaces) >= TEXT_RATIO


@pytest.mark.parametrize("name", ["ink", "soft", "sky", "amber", "green", "rose"])
def test_text_on_paper_is_readable(name: str) -> None:
    """In print each colour has 4.5 to 1 on white."""
    assert _contrast(_colour(_variable(PRINT, name))[0], (255, 255, 255)) >= TEXT_RATIO


def test_lines_of_charts_stand_out() -> None:
    """Each colour of a chart has 3 to 1 on any card."""
    script = (Path(__file__).parents[3] / "api" / "dashboard" / "js" / "charts.js").read_text(encoding="utf-8")
    colours = {_colour(found)[0] for found in re.findall(r'"(#[0-9a-f]{6})"', script)} - {_colour("#0c1222")[0]}
    card = _colour(_variable(SCREEN, "card"))
    assert len(colours) >= 8
    pairs = product(colours, _grounds())
    assert min(_contrast(colour, _over(card, ground)) for colour, ground in pairs) >= GRAPHIC_RATIO
