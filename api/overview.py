"""The figures of the first view and the system's health: from sums, heartbeats and positions, no scan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from api.cursors import encode_feed
from api.schemas.overview import Health, Lag, ModelAge, RoleHealth, Summary
from api.views import mean, moment, segment_views, share
from budget.asking import distrust
from clv.errors import ModelError
from clv.published import SCORER_NAME
from clv.rules import DAY_MS
from storage.feed import count_changes, feed_end
from storage.heartbeats import FRESH_MS, Heartbeat, read_heartbeats
from storage.letters import count_by_reason
from storage.overview import partition_progress
from storage.sums import activity_since, orders_per_minute, totals_by
from storage.trust import grounds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.context import Context

STALE_MS = 120_000
NEEDED_ROLES = ("worker", "sink", "trainer")
_BEHIND_ORDERS = 10_000
_LOOK_BACK_MS = 86_400_000


def summary_of(context: Context) -> Summary:
    """Return the dashboard's summary."""
    database, currency = context.database, context.currency
    cursor = encode_feed(feed_end(database))  # first: what comes meanwhile must come again on the stream
    totals = totals_by(database, "segment")
    customers = sum(total.customers for total in totals)
    clv_minor = sum(total.clv_minor for total in totals)
    half_minor = round(math.sqrt(max(sum(total.spread for total in totals), 0)) * 100)
    low, high = max(clv_minor - half_minor, 0), clv_minor + half_minor
    segments = segment_views(context, totals)
    as_of_ms = reached_ms(context)
    activity = activity_since(database, context.now_ms - _LOOK_BACK_MS)
    stored_ms = max((each.at_ms for each in activity), default=-1)
    freshness = max(context.now_ms - stored_ms, 0) / 1000 if stored_ms >= 0 else None
    return Summary(
        currency=currency.code,
        horizon_days=context.settings.horizon_days,
        customers=customers,
        orders=sum(total.orders for total in totals),
        revenue=currency.major(sum(total.revenue_minor for total in totals)),
        refunded=currency.major(sum(total.refunded_minor for total in totals)),
        total_clv=currency.major(clv_minor),
        total_clv_lower=currency.major(low),
        total_clv_upper=currency.major(high),
        mean_clv=currency.major(mean(clv_minor, customers)),
        mean_clv_lower=currency.major(mean(low, customers)),
        mean_clv_upper=currency.major(mean(high, customers)),
        high_value_share=share(segments[0].customers, sum(each.customers for each in segments)),
        orders_per_minute=orders_per_minute(activity, context.now_ms),
        segments=segments,
        segment_changes_24h=count_changes(database, after_ms=as_of_ms - DAY_MS) if as_of_ms >= 0 else 0,
        dead_letters=sum(count_by_reason(database).values()),
        as_of=moment(as_of_ms),
        freshness_seconds=freshness,
        is_replay=0 <= as_of_ms < context.now_ms - context.settings.allowed_lateness_ms - DAY_MS,
        is_stale=freshness is None or freshness * 1000 > STALE_MS,
        champion=_champion(context),
        feed_cursor=cursor,
    )


def health_of(context: Context) -> Health:
    """Return which roles run, how far they are behind, and what is wrong."""
    beats = read_heartbeats(context.database)
    roles = [_role(context, each) for each in beats]
    alive = {each.role for each in roles if each.is_alive}
    lag = _lag([each for each, role in zip(beats, roles, strict=True) if role.is_alive])
    problems = [f"no {role} is running" for role in NEEDED_ROLES if role not in alive]
    if lag.orders is not None and lag.orders > _BEHIND_ORDERS:
        problems.append(f"workers are {lag.orders:,} orders behind")
    return Health(
        status="degraded" if problems else "ok",
        roles=roles,
        lag=lag,
        model_age=model_age(context),
        problems=problems,
    )


def model_age(context: Context) -> ModelAge:
    """Return what answers, and how far behind event time it has learned."""
    try:
        snapshots = context.published.newest().scorer.snapshots
    except ModelError:
        snapshots = ()
    if not snapshots:
        return ModelAge(version="", champion="prior", learned_through_at=None, event_days_behind=None)
    newest, reached = snapshots[-1], reached_ms(context)
    behind = max(reached - newest.learned_through_ms, 0) / DAY_MS if reached >= 0 else None
    return ModelAge(
        version=newest.version,
        champion=newest.champion,
        learned_through_at=moment(newest.learned_through_ms),
        event_days_behind=round(behind, 2) if behind is not None else None,
    )


def distrust_of(context: Context) -> str:
    """Say why the models should not move money now: a role that is gone, a model behind, or drift; else nothing."""
    return distrust(**grounds_of(context.database, SCORER_NAME)._asdict())


def _champion(context: Context) -> str:
    return model_age(context).champion


def reached_ms(context: Context) -> int:
    """Return the event time that all partitions have reached, −1 before any."""
    return min((each.watermark_ms for each in partition_progress(context.database).values()), default=-1)


def _role(context: Context, beat: Heartbeat) -> RoleHealth:
    since_ms = max(context.now_ms - beat.at_ms, 0)
    return RoleHealth(
        role=beat.role,
        instance=beat.instance,
        is_alive=since_ms <= FRESH_MS,
        seconds_since_seen=since_ms / 1000,
        uptime_seconds=max(beat.at_ms - beat.started_ms, 0) / 1000,
        figures={name: value for name, value in beat.figures.items() if isinstance(value, int | float | str)},
    )


def _lag(beats: Sequence[Heartbeat]) -> Lag:
    """Return the lag that the sink measured last; with several sinks, the newest measurement."""
    measured: list[tuple[int, dict[str, Any]]] = [
        (beat.at_ms, beat.figures) for beat in beats if "lag_orders" in beat.figures
    ]
    figures = max(measured, key=lambda each: each[0])[1] if measured else {}
    return Lag(
        orders=figures.get("lag_orders"),
        outputs=figures.get("lag_outputs"),
        days_to_learn=figures.get("lag_days_to_learn"),
    )
