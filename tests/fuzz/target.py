"""What is fuzzed: a way to draw an input, and a way to hand it in that must come back with a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


class Target(NamedTuple):
    """``run`` returns the verdict on an input; whatever it raises is a crash of the product."""

    draw: Callable[[Random], Any]
    run: Callable[[Any], str]
