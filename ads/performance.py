"""Campaign figures from a CSV: one line a campaign and day, columns by their usual names, exact money.

A line that cannot be read is reported with its number and reason, and never stops the rest.
"""

from __future__ import annotations

import csv
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from clv.errors import InputError, InvalidEvent
from clv.money import to_minor
from clv.outcomes import SEGMENTS
from storage.campaigns import CampaignDay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_NAMES: dict[str, tuple[str, ...]] = {
    "day": ("day", "date", "reporting starts", "date start"),
    "campaign_id": ("campaign id",),
    "name": ("campaign name", "campaign", "name"),
    "segment": ("segment",),
    "spend": ("spend", "amount spent", "cost"),
    "impressions": ("impressions",),
    "clicks": ("clicks", "link clicks"),
    "purchases": ("purchases", "results", "conversions"),
    "new_customers": ("new customers", "new buyers"),
    "value": ("value", "purchase value", "purchases conversion value", "conversion value", "revenue"),
}
_NEEDED = ("day", "spend")


class Reading(NamedTuple):
    """A line that was read, or why it was not: ``line`` is its number in the file."""

    line: int
    day: CampaignDay | None
    problem: str = ""


def read_performance(
    path: Path,
    *,
    platform: str,
    currency: str,
    digits: int,
    columns: Mapping[str, str],
    segments: Mapping[str, str],
) -> Iterator[Reading]:
    """Read a file line by line.

    Parameters
    ----------
    columns
        Field to column, for columns that have other names.
    segments
        A campaign's id or name to its segment, where no column says it.

    Raises
    ------
    InputError
        When the file cannot be read, or lacks a column that is needed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            found = _columns(path, reader.fieldnames or (), columns)
            for cells in reader:
                line = {field: (cells.get(column) or "").strip() for field, column in found.items()}
                try:
                    day = _day(line, platform=platform, currency=currency, digits=digits, segments=segments)
                except (ValueError, InvalidEvent) as problem:
                    yield Reading(reader.line_num, None, str(problem))
                else:
                    yield Reading(reader.line_num, day)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        says = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"{path} cannot be read: {says}") from problem


def _columns(path: Path, names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    for field, column in given.items():
        if field not in _NAMES:
            raise InputError(f"there is no field {field!r}", f"one of {', '.join(_NAMES)}")
        if column not in names:
            raise InputError(f"{path} has no column {column!r}", f"it has {', '.join(names)}")
    plain = {name.strip().lower().replace("_", " ").partition(" (")[0]: name for name in reversed(names)}
    found = {
        field: next(plain[known] for known in known_names if known in plain)
        for field, known_names in _NAMES.items()
        if any(known in plain for known in known_names)
    } | dict(given)
    missing = [field for field in _NEEDED if field not in found]
    if "campaign_id" not in found and "name" not in found:
        missing.append("campaign_id")
    if missing:
        raise InputError(f"{path} has no column for {', '.join(missing)}", "name it: --map spend=Cost")
    return found


def _day(
    line: Mapping[str, str], *, platform: str, currency: str, digits: int, segments: Mapping[str, str]
) -> CampaignDay:
    campaign = line.get("campaign_id") or line.get("name", "")
    if not campaign:
        raise ValueError("the line names no campaign")
    name = line.get("name") or campaign
    segment = line.get("segment") or segments.get(campaign) or segments.get(name, "")
    if segment and segment not in SEGMENTS:
        raise ValueError(f"{segment!r} is no segment: {', '.join(SEGMENTS)}")
    return CampaignDay(
        platform=platform,
        campaign_id=campaign,
        day=date.fromisoformat(line["day"][:10]).isoformat(),
        name=name,
        segment=segment,
        currency=currency,
        spend_minor=_money("spend", line, digits),
        impressions=_count("impressions", line),
        clicks=_count("clicks", line),
        purchases=_count("purchases", line),
        new_customers=_count("new_customers", line),
        value_minor=_money("value", line, digits),
        source="file",
    )


def _money(field: str, line: Mapping[str, str], digits: int) -> int:
    minor = to_minor(line.get(field) or "0", digits)
    if minor < 0:
        raise ValueError(f"{field} is negative")
    return minor


def _count(field: str, line: Mapping[str, str]) -> int:
    text = line.get(field) or "0"
    if not text.isdecimal():
        raise ValueError(f"{field} is not a whole number")
    return int(text)
