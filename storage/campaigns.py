"""What campaigns cost and brought, by day, as the platforms count it; and budget changes that were carried out."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from clv.money import minor_digits
from clv.pacing import monthly_most, paced
from storage import tables
from storage.dialect import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.outcomes import Segment
    from clv.settings import Settings
    from storage.engine import Database

Row = dict[str, Any]
_days = tables.campaign_days
MEASURES = ("spend_minor", "impressions", "clicks", "purchases", "new_customers", "value_minor")


class CampaignDay(NamedTuple):
    """A day of a campaign; ``day`` is ISO 8601, ``segment`` empty where unknown, ``source`` says where it is from."""

    platform: str
    campaign_id: str
    day: str
    name: str
    segment: str
    currency: str
    spend_minor: int
    impressions: int
    clicks: int
    purchases: int
    new_customers: int
    value_minor: int
    source: str


class Performance(NamedTuple):
    """Sums over days of one campaign or segment (``name``; ``key`` is its id)."""

    key: str
    name: str
    segment: str
    spend_minor: int
    impressions: int
    clicks: int
    purchases: int
    new_customers: int
    value_minor: int
    first_day: str
    last_day: str


def put_days(database: Database, days: Sequence[CampaignDay], *, pulled_ms: int) -> None:
    """Store days; one that is there already is replaced, since platforms correct the last weeks.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.writing() as connection:
        upsert(connection, _days, [{**day._asdict(), "pulled_ms": pulled_ms} for day in days])


def performance(database: Database, *, by: str, first_day: str = "", last_day: str = "9999") -> list[Performance]:
    """Return sums by ``campaign`` or ``segment`` over a period, both days included, most spend first.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    sums = [func.sum(_days.c[name]).label(name) for name in MEASURES]
    span = (func.min(_days.c.day).label("first_day"), func.max(_days.c.day).label("last_day"))
    is_by_campaign = by == "campaign"
    keys = (_days.c.platform, _days.c.campaign_id) if is_by_campaign else (_days.c.segment,)
    named = (
        (_days.c.campaign_id if is_by_campaign else _days.c.segment).label("key"),
        func.max(_days.c.name if is_by_campaign else _days.c.segment).label("name"),
        func.max(_days.c.segment).label("segment"),
    )
    query = select(*named, *sums, *span).where(_days.c.day >= first_day, _days.c.day <= last_day).group_by(*keys)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(func.sum(_days.c.spend_minor).desc(), named[0])).mappings().all()
    return [Performance(**{**row, **{name: int(row[name]) for name in MEASURES}}) for row in rows]


def weeks_of_segments(database: Database) -> list[tuple[str, int, int, int, int]]:
    """Return what was spent on each segment in each week: segment, week, days that were seen, spend, value.

    Weeks are counted from Monday, 5 January 1970; days without a segment are left out.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    query = (
        select(_days.c.segment, _days.c.day, func.sum(_days.c.spend_minor), func.sum(_days.c.value_minor))
        .where(_days.c.segment != "")
        .group_by(_days.c.segment, _days.c.day)
        .order_by(_days.c.segment, _days.c.day)
    )
    found: dict[tuple[str, int], list[int]] = {}
    with database.reading() as connection:
        for segment, day, spend, value in connection.execute(query):
            week = (date.fromisoformat(day).toordinal() - _FIRST_MONDAY) // 7
            sums = found.setdefault((segment, week), [0, 0, 0])
            for i, figure in enumerate((1, int(spend), int(value))):
                sums[i] += figure
    return [(segment, week, *sums) for (segment, week), sums in sorted(found.items())]  # type: ignore[misc]  # three sums


def most_by_pacing(database: Database, settings: Settings) -> dict[Segment, int]:
    """Return what ``CLV_BUDGET_MONTHLY_MOST`` leaves of each segment's money for the days of a budget, minor units.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    monthly = monthly_most(settings.budget_monthly_most, minor_digits(settings.currency))
    if not monthly:
        return {}
    last_day, spent = _spent_in_last_month(database)
    return paced(monthly, spent, last_day=last_day, days=settings.budget_days)


def _spent_in_last_month(database: Database) -> tuple[date | None, dict[str, int]]:
    """Return the last day that has figures, and what each segment cost in its month up to it, minor units."""
    with database.reading() as connection:
        last = connection.execute(select(func.max(_days.c.day)).where(_days.c.segment != "")).scalar()
        if last is None:
            return None, {}
        query = (
            select(_days.c.segment, func.sum(_days.c.spend_minor))
            .where(_days.c.segment != "", _days.c.day >= f"{last[:7]}-01")
            .group_by(_days.c.segment)
        )
        return date.fromisoformat(last), {segment: int(spend) for segment, spend in connection.execute(query)}


_FIRST_MONDAY = date(1970, 1, 5).toordinal()
