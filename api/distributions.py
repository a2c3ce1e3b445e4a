"""How value is spread, from the sums that the sink keeps: no scan, whatever the number of customers."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from api.schemas.overview import Cohort, CurvePoint, Day, Distributions, LorenzPoint, NamedFigures
from api.views import mean, share
from storage.sums import Total, totals_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.context import Context

MOST_NAMES = 20
MOST_COHORTS = 36
MOST_DAYS = 800


def distributions_of(context: Context) -> Distributions:
    """Return concentration, cohorts, sources, campaigns and days."""
    levels = totals_by(context.database, "level")
    lorenz = lorenz_points([(level.customers, level.clv_minor) for level in levels])
    return Distributions(
        currency=context.currency.code,
        horizon_days=context.settings.horizon_days,
        lorenz=lorenz,
        top_decile_share=_at(lorenz, 0.1),
        cohorts=_cohorts(context),
        sources=_named(context, "source"),
        campaigns=_named(context, "campaign"),
        days=_days(context),
    )


def lorenz_points(levels: Sequence[tuple[int, int]]) -> list[LorenzPoint]:
    """Return the concentration curve of customers and CLV by level, lowest level first; most valuable customers first.

    A level spans an eighth of a doubling: between its ends the curve is a straight line, off by little.
    """
    customers = sum(count for count, _ in levels)
    value = sum(clv for _, clv in levels)
    if not customers or value <= 0:
        return []
    points, seen, held = [LorenzPoint(customer_share=0.0, value_share=0.0)], 0, 0
    for count, clv in reversed(levels):
        seen, held = seen + count, held + clv
        points.append(LorenzPoint(customer_share=share(seen, customers), value_share=share(held, value)))
    return points


def _at(points: Sequence[LorenzPoint], customer_share: float) -> float | None:
    """Return the value share of the top customers, between two points in a straight line."""
    for before, after in pairwise(points):
        if after.customer_share >= customer_share:
            width = after.customer_share - before.customer_share
            part = (customer_share - before.customer_share) / width if width > 0 else 1.0
            return before.value_share + part * (after.value_share - before.value_share)
    return None


def _named(context: Context, dimension: str) -> list[NamedFigures]:
    alike: dict[str, list[Total]] = defaultdict(list)
    for total in totals_by(context.database, dimension, limit=MOST_NAMES):
        alike[total.name].append(total)
    found = [_figures(context, name, totals) for name, totals in alike.items()]
    return sorted(found, key=lambda each: -each.customers)


def _figures(context: Context, name: str, totals: Sequence[Total]) -> NamedFigures:
    major = context.currency.major
    customers = sum(total.customers for total in totals)
    clv_minor = sum(total.clv_minor for total in totals)
    revenue_minor = sum(total.revenue_minor for total in totals)
    return NamedFigures(
        name=name,
        customers=customers,
        revenue=major(revenue_minor),
        net=major(revenue_minor - sum(total.refunded_minor for total in totals)),
        total_clv=major(clv_minor),
        mean_clv=major(mean(clv_minor, customers)),
        high_value_share=share(sum(t.customers for t in totals if t.segment == "High-CLV"), customers),
    )


def _cohorts(context: Context) -> list[Cohort]:
    sizes = {total.name: total.customers for total in totals_by(context.database, "cohort")}
    gained: dict[str, dict[int, int]] = defaultdict(dict)
    for total in totals_by(context.database, "curve"):
        cohort, _, month = total.name.partition("/")
        gained[cohort][int(month)] = total.revenue_minor - total.refunded_minor
    newest = sorted(name for name, size in sizes.items() if name and size > 0)[-MOST_COHORTS:]
    return [
        Cohort(cohort=name, customers=sizes[name], curve=_curve(context, gained[name], sizes[name])) for name in newest
    ]


def _curve(context: Context, gained: dict[int, int], customers: int) -> list[CurvePoint]:
    points, net_minor = [], 0
    for month in range(max(gained, default=-1) + 1):
        net_minor += gained.get(month, 0)
        points.append(CurvePoint(month=month, net_per_customer=context.currency.major(mean(net_minor, customers))))
    return points


def _days(context: Context) -> list[Day]:
    major, clv_minor, days = context.currency.major, 0, []
    for total in totals_by(context.database, "day"):
        clv_minor += total.clv_minor
        days.append(
            Day(
                day=total.name,
                orders=total.orders,
                revenue=major(total.revenue_minor),
                new_customers=total.customers,
                total_clv=major(clv_minor),
            )
        )
    return days[-MOST_DAYS:]
