"""Figures over all customers: the summary, segments and how customers move between them, distributions."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.customers import Moment, Money, Reason, SegmentChange, SegmentName, Share


class SegmentFigures(BaseModel):
    """A segment: who is in it, what they are worth, and what a new customer like them may cost."""

    segment: SegmentName
    customers: int
    share: Share = Field(description="Of all customers who are in a segment.")
    total_clv: Money
    mean_clv: Money
    value_share: Share = Field(description="Of the total CLV.")
    cac_target: Money = Field(description="30 % of the mean CLV's margin.")
    revenue: Money
    orders: int


class Movement(BaseModel):
    """Customers who moved from one segment to another; ``from_segment`` is null for those who came into their first."""

    from_segment: SegmentName | None
    to_segment: SegmentName
    changes: int
    reasons: dict[Reason, int]
    clv_change: Money = Field(description="Of these customers together, after less before.")


class Segments(BaseModel):
    """All segments, and the movement between them in a period of event time."""

    currency: str
    horizon_days: int
    segments: list[SegmentFigures]
    without_segment: int = Field(description="Customers scored before the first cut-offs.")
    movement: list[Movement]
    movement_from: str = Field(description="First day of event time, empty before there is any.")
    movement_to: str = Field(description="Last day of event time.")


class RoleHealth(BaseModel):
    """A running process, as it last reported."""

    role: str
    instance: str
    is_alive: bool = Field(description="Whether it was seen within the last 20 seconds.")
    seconds_since_seen: float
    uptime_seconds: float
    figures: dict[str, int | float | str]


class Lag(BaseModel):
    """How far the roles are behind; null where nobody has measured it lately."""

    orders: int | None = Field(description="Orders on the broker that no worker has applied.")
    outputs: int | None = Field(description="Outputs and states that are not in SQL.")
    days_to_learn: int | None = Field(description="Event-days whose examples are not learned.")


class ModelAge(BaseModel):
    """What answers, and how fresh it is."""

    version: str
    champion: str
    learned_through_at: Moment | None
    event_days_behind: float | None = Field(description="From what it has learned to the slowest partition's time.")


class Health(BaseModel):
    """Whether everything runs: ``ok``; ``degraded`` when a role is missing or late; ``down`` without a database."""

    status: str
    roles: list[RoleHealth]
    lag: Lag
    model_age: ModelAge
    problems: list[str] = Field(description="What is wrong, in plain words.")


class Summary(BaseModel):
    """The figures of the dashboard's first view.

    The interval of ``total_clv`` takes customers' errors as independent: an error that they share, a season or a
    campaign, is not in it.
    """

    currency: str
    horizon_days: int
    customers: int
    orders: int
    revenue: Money
    refunded: Money
    total_clv: Money
    total_clv_lower: Money
    total_clv_upper: Money
    mean_clv: Money
    mean_clv_lower: Money
    mean_clv_upper: Money
    high_value_share: Share = Field(description="Of customers in a segment who are High-CLV.")
    orders_per_minute: float = Field(description="By the clock, over the last complete minute.")
    segments: list[SegmentFigures]
    segment_changes_24h: int = Field(description="Within the last 24 hours of event time.")
    dead_letters: int
    as_of: Moment | None = Field(description="The event time that all partitions have reached.")
    freshness_seconds: float | None = Field(description="By the clock: since the sink last stored anything.")
    is_replay: bool = Field(description="Whether event time lies more than a day behind the clock.")
    is_stale: bool = Field(description="Whether nothing was stored for two minutes.")
    champion: str
    feed_cursor: str = Field(description="Where `/api/stream` goes on from here, as Last-Event-ID.")


class NamedFigures(BaseModel):
    """Customers who share something: a source, a campaign, a month of their first order."""

    name: str
    customers: int
    revenue: Money
    net: Money
    total_clv: Money
    mean_clv: Money
    high_value_share: Share | None = None


class CurvePoint(BaseModel):
    """What a cohort had brought, net, by the end of its so many-th month; a mean a customer."""

    month: int
    net_per_customer: Money


class Cohort(BaseModel):
    """Customers by the month of their first order, and how their value grew."""

    cohort: str
    customers: int
    curve: list[CurvePoint]


class LorenzPoint(BaseModel):
    """The most valuable ``customer_share`` of customers hold ``value_share`` of the total CLV."""

    customer_share: Share
    value_share: Share


class Day(BaseModel):
    """What changed on a day of event time."""

    day: str
    orders: int
    revenue: Money
    new_customers: int
    total_clv: Money = Field(description="Of all customers, at the end of the day.")


class Activity(BaseModel):
    """What was stored in ten seconds of the clock."""

    at: Moment
    orders: int
    scores: int
    segment_changes: int
    dead_letters: int


class Distributions(BaseModel):
    """Where value lies and how it came: concentration, cohorts, sources, campaigns, days."""

    currency: str
    horizon_days: int
    lorenz: list[LorenzPoint]
    top_decile_share: Share | None
    cohorts: list[Cohort]
    sources: list[NamedFigures]
    campaigns: list[NamedFigures]
    days: list[Day]


class Feed(BaseModel):
    """The latest segment changes, newest first."""

    items: list[SegmentChange]
