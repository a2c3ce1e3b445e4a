"""How long records and rows are kept, as the settings say it: ``scores=730d,dead_letters=30d``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clv.errors import ConfigError
from clv.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Collection

NEVER = "never"
DELETED_TOPICS = tuple(spec.name for spec in TOPICS if spec.policy == "delete")
AGED_TABLES = (
    *("scores", "segment_changes", "training_examples", "budget_signals"),
    *("dead_letters", "ad_operations", "budget_changes"),
)
"""Tables whose rows may go with age. The latest scores, states and sums are not among them."""


def topic_retention_ms(text: str) -> dict[str, int]:
    """Return what ``CLV_TOPIC_RETENTION`` says; see ``parse_retention``."""
    return parse_retention("CLV_TOPIC_RETENTION", text, DELETED_TOPICS)


def table_retention_ms(text: str) -> dict[str, int]:
    """Return what ``CLV_TABLE_RETENTION`` says; see ``parse_retention``."""
    return parse_retention("CLV_TABLE_RETENTION", text, AGED_TABLES)


def parse_retention(setting: str, text: str, allowed: Collection[str]) -> dict[str, int]:
    """Read a setting of names and days; return milliseconds by name, −1 for what is kept for good.

    Parameters
    ----------
    setting
        The variable, for what goes wrong.
    text
        ``NAME=DAYSd`` or ``NAME=never``, separated by commas; empty: none.
    allowed
        Names of what may have a retention.

    Raises
    ------
    ConfigError
        When a name is not among them or given twice, or days are not a whole number of at least one.

    Examples
    --------
    >>> parse_retention("CLV_TABLE_RETENTION", "scores=2d,activity=never", ["activity", "scores"])
    {'scores': 172800000, 'activity': -1}
    """
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, days = part.partition("=")
        if name not in allowed:
            raise ConfigError(f"{setting}: {name!r} has no retention to set", f"one of {', '.join(sorted(allowed))}")
        if name in found:
            raise ConfigError(f"{setting} names {name} twice", "say each once")
        if days == NEVER:
            found[name] = -1
        elif days.endswith("d") and days[:-1].isascii() and days[:-1].isdigit() and 0 < int(days[:-1]) <= 36_500:
            found[name] = timedelta(days=int(days[:-1])) // timedelta(milliseconds=1)
        else:
            raise ConfigError(f"{setting}: {part!r} is no number of days", f"for example {name}=365d or {name}=never")
    return found
