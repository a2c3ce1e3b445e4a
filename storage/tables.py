"""The SQL tables, one declaration for SQLite and PostgreSQL.

Money is BIGINT minor units of the reporting currency, moments are BIGINT epoch milliseconds in UTC (``_ms``; −1 where
unknown): both sort and compare fast on either database. Lists and mappings are JSON text. The history tables have the
event's id as primary key, so that a repeated delivery adds nothing. How they come to exist is in ``migrations``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, Numeric, Table, Text

from storage.dialect import ORDERED_TEXT

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str, kind: Text | type[BigInteger | Integer | LargeBinary] = ORDERED_TEXT) -> Column[object]:
    # Keys come from outside: no database may invent one by counting up.
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _real(name: str) -> Column[float]:
    return Column(name, Float(53), nullable=False)


def _sum(name: str) -> Column[object]:
    # PostgreSQL refuses a BIGINT that overflows, and one absurd amount may nearly fill it.
    return Column(name, BigInteger().with_variant(Numeric(38, 0), "postgresql"), nullable=False)


def _bytes(name: str, *, is_optional: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=is_optional)


def _scored() -> tuple[Column[str] | Column[int] | Column[float], ...]:
    """Return the columns that a customer's row and a row of the history share."""
    return (
        Column("partition", Integer, nullable=False),
        Column("segment", Text, nullable=True),
        _whole("clv_minor"),
        _whole("clv_lower_minor"),
        _whole("clv_upper_minor"),
        _whole("clv_year_minor"),
        Column("horizon_days", Integer, nullable=False),
        _text("currency"),
        _text("confidence"),
        _real("churn_probability"),
        _whole("expected_next_order_ms"),
        _whole("as_of_ms"),
        _text("cause"),
        _text("reason"),
        _real("btyd_minor"),
        _real("glm_minor"),
        _real("online_minor"),
        _real("ensemble_minor"),
        _text("model_versions"),
        _whole("order_count"),
        _whole("revenue_minor"),
        _whole("refunded_minor"),
    )


customers = Table(
    "customers",
    metadata,
    _key("customer_id"),
    *_scored(),
    _whole("first_order_ms"),
    _whole("last_order_ms"),
    _text("acquisition_source"),
    _text("campaign_type"),
    _text("score_event_id"),
    Index(None, "clv_minor", "customer_id"),
    Index(None, "segment", "clv_minor", "customer_id"),
    Index(None, "revenue_minor", "customer_id"),
    Index(None, "last_order_ms", "customer_id"),
)
"""The latest score of each customer."""

scores = Table(
    "scores",
    metadata,
    _key("event_id"),
    _text("customer_id"),
    *_scored(),
    Index(None, "customer_id", "as_of_ms"),
)
"""Every score that was given out."""

segment_changes = Table(
    "segment_changes",
    metadata,
    _key("event_id"),
    _text("customer_id"),
    _whole("as_of_ms"),
    _text("cause"),
    _text("reason"),
    Column("from_segment", Text, nullable=True),
    _text("to_segment"),
    _whole("clv_before_minor"),
    _whole("clv_after_minor"),
    _text("currency"),
    _text("model_versions"),
    Column("partition", Integer, nullable=False),
    _whole("feed_seq"),
    Index(None, "customer_id"),
    Index(None, "as_of_ms"),
    Index(None, "partition", "feed_seq", unique=True),
)
"""Changes of segment; ``feed_seq`` counts those of a partition in the order in which they were stored, without end."""

feeds = Table("feeds", metadata, _key("partition", Integer), _whole("next_seq"))
"""What the next segment change of a partition is counted as: never falls, whatever is erased."""

totals = Table(
    "totals",
    metadata,
    _key("dimension"),
    _key("name"),
    _key("segment"),
    _key("partition", Integer),
    *(_sum(name) for name in ("customers", "orders", "revenue_minor", "refunded_minor")),
    *(_sum(name) for name in ("clv_minor", "clv_lower_minor", "clv_upper_minor", "spread")),
)
"""Sums over customers, see ``storage.aggregates``."""

segment_moves = Table(
    "segment_moves",
    metadata,
    _key("day"),
    _key("from_segment"),
    _key("to_segment"),
    _key("reason"),
    _key("partition", Integer),
    *(_sum(name) for name in ("changes", "clv_before_minor", "clv_after_minor")),
)
"""Segment changes counted by day of event time."""

activity = Table(
    "activity",
    metadata,
    _key("at_ms", BigInteger),
    _key("partition", Integer),
    *(_sum(name) for name in ("orders", "scores", "segment_changes", "dead_letters")),
)
"""What the sink stored in each stretch of ten seconds by the clock, for two days."""

heartbeats = Table(
    "heartbeats",
    metadata,
    _key("role"),
    _key("instance"),
    _whole("started_ms"),
    _whole("at_ms"),
    _text("figures"),
)
"""When each running role was last seen, by the clock, and what it said; ``figures`` is JSON."""

api_keys = Table(
    "api_keys",
    metadata,
    _key("key_id"),
    _text("name"),
    _text("scopes"),
    _text("digest"),
    _whole("created_ms"),
    _whole("revoked_ms"),
)
"""API keys: the SHA-256 of each secret, never the secret; ``revoked_ms`` is -1 while it holds."""

letter_replays = Table(
    "letter_replays",
    metadata,
    _key("topic"),
    _key("incarnation"),
    _key("partition", Integer),
    _key("offset", BigInteger),
    _whole("requested_ms"),
    _text("requested_by"),
    _whole("sent_ms"),
    _text("problem"),
    Index(None, "sent_ms"),
)
"""Dead letters that somebody asked to be sent again; ``sent_ms`` is -1 until the sink has done so."""

budget_signals = Table(
    "budget_signals",
    metadata,
    _key("event_id"),
    _text("proposal_id"),
    _whole("as_of_ms"),
    _text("method"),
    _text("currency"),
    _whole("total_budget_minor"),
    _text("segment"),
    _whole("customers"),
    _whole("total_clv_minor"),
    _whole("mean_clv_minor"),
    _real("share"),
    _whole("amount_minor"),
    _whole("baseline_amount_minor"),
    _whole("cac_target_minor"),
    _text("strategy"),
    _text("binding_constraint"),
    _text("warnings"),
    Index(None, "as_of_ms"),
)

training_examples = Table(
    "training_examples",
    metadata,
    _key("event_id"),
    _text("customer_id"),
    _whole("as_of_ms"),
    _whole("matured_ms"),
    _text("moment"),
    Column("horizon_days", Integer, nullable=False),
    _text("feature_digest"),
    _bytes("features"),  # float64, little-endian, in the order of clv.features.FEATURE_NAMES
    _text("acquisition_source"),
    _text("campaign_type"),
    _real("clv_minor"),
    _real("btyd_minor"),
    _real("glm_minor"),
    _real("online_minor"),
    _real("ensemble_minor"),
    _real("naive_minor"),
    _text("scorer_version"),
    _whole("value_minor"),
    _text("currency"),
    Index(None, "matured_ms", "event_id"),
    Index(None, "customer_id"),
)

models = Table(
    "models",
    metadata,
    _key("name"),
    _key("version"),
    _text("event_id"),
    _text("digest"),
    _whole("learned_through_ms"),
    _text("feature_digest"),
    _text("metrics"),
)
"""Announcements of models and policies; their bytes are in ``artifacts``."""

artifacts = Table(
    "artifacts",
    metadata,
    _key("digest"),  # SHA-256 of the payload, hexadecimal
    _key("name"),
    _key("version"),
    _bytes("payload"),
    _whole("learned_through_ms"),
    Index(None, "name", "version"),
)
"""Bytes of published versions; two versions may have the same."""

model_cards = Table(
    "model_cards",
    metadata,
    _key("version"),
    _text("name"),
    _text("digest"),
    _whole("learned_through_ms"),
    _text("cause"),
    _text("champion"),
    _text("ensemble_digest"),
    _text("card"),
    Index(None, "learned_through_ms"),
)
"""What is to be known of each published version that changed something essential; ``card`` is JSON."""

model_events = Table(
    "model_events",
    metadata,
    _key("version"),
    _whole("at_ms"),
    _text("cause"),
    _text("from_champion"),
    _text("to_champion"),
    _text("evidence"),
)
"""Who answers since which version, and why: at most one event a publication; ``evidence`` is JSON."""

dead_letters = Table(
    "dead_letters",
    metadata,
    _key("topic"),
    _key("incarnation"),
    _key("partition", Integer),
    _key("offset", BigInteger),
    _bytes("key", is_optional=True),
    _bytes("value", is_optional=True),
    _text("reason"),
    _text("detail"),
    _whole("stored_ms"),
    Index(None, "reason"),
)
"""Records that could not be applied, by the place where they lay first."""

customer_states = Table(
    "customer_states",
    metadata,
    _key("partition", Integer),
    _key("key", LargeBinary),
    _bytes("row"),
)
"""The worker's table as its changelog has it: a row a customer, and those whose key begins with a zero byte."""

partitions = Table(
    "partitions",
    metadata,
    _key("partition", Integer),
    _whole("watermark_ms"),
    _text("incarnation"),
    _whole("applied_offset"),
    _text("counts"),
)

sink_offsets = Table(
    "sink_offsets",
    metadata,
    _key("topic"),
    _key("partition", Integer),
    _text("incarnation"),
    _whole("next_offset"),
)

learner = Table(
    "learner",
    metadata,
    _key("name"),
    _whole("revision"),
    _text("incarnation"),
    _text("offsets"),
    _bytes("state"),
)

replay_positions = Table("replay_positions", metadata, _key("key"), _text("position"))

metrics = Table("metrics", metadata, _key("name"), _whole("as_of_ms"), _text("figures"))

audience_customers = Table(
    "audience_customers",
    metadata,
    _key("customer_id"),
    Column("segment", Text, nullable=True),
    _whole("clv_minor"),
    _real("churn_probability"),
    _whole("order_count"),
    _whole("as_of_ms"),
    _text("reason"),
)
"""What decides who belongs to which audience: each customer's latest score, as the ads role has read it."""

audiences = Table(
    "audiences",
    metadata,
    _key("platform"),
    _key("name"),
    _text("remote_id"),
    _text("status"),
    _text("detail"),
    _whole("waiting_until_ms"),
    _whole("synced_ms"),
    _text("session"),
    _text("counts"),
)
"""Where each audience stands at its platform; JSON: ``session`` of a replacement that has begun, ``counts``.

A row with an empty name says who may change the platform's audiences now, and until when.
"""

audience_members = Table(
    "audience_members",
    metadata,
    _key("platform"),
    _key("audience"),
    _key("customer_id"),
    _text("identifiers"),
    _whole("value_minor"),
    _text("status"),
    _text("detail"),
    Index(None, "platform", "audience", "identifiers"),
    Index(None, "platform", "audience", "status"),
)
"""Whom a platform has been told of; ``identifiers`` is JSON of the hashes it was given, gone with the member."""

ad_operations = Table(
    "ad_operations",
    metadata,
    _key("operation_id"),
    _whole("at_ms"),
    _text("platform"),
    _text("subject"),
    _text("operation"),
    _whole("row_count"),
    _whole("rejected_count"),
    _text("outcome"),
    _text("detail"),
    Index(None, "at_ms", "operation_id"),
)
"""Every call that changed something at a platform, and how it ended; names no person."""

suppressions = Table("suppressions", metadata, _key("digest"), _text("cause"), _whole("at_ms"))
"""Who must not be delivered again: a keyed hash of the customer's id, why, and when; nothing else of them."""

conversions = Table(
    "conversions",
    metadata,
    _key("event_id"),
    _text("customer_id"),
    _whole("occurred_ms"),
    _whole("value_minor"),
    _whole("predicted_minor"),
    _text("status"),
    _text("detail"),
    _whole("at_ms"),
    Index(None, "status", "occurred_ms"),
    Index(None, "customer_id"),
)
"""First purchases that a platform is to hear of with their predicted value, and whether it has."""

campaign_days = Table(
    "campaign_days",
    metadata,
    _key("platform"),
    _key("campaign_id"),
    _key("day"),
    _text("name"),
    _text("segment"),
    _text("currency"),
    *(_whole(name) for name in ("spend_minor", "impressions", "clicks", "purchases", "new_customers", "value_minor")),
    _text("source"),
    _whole("pulled_ms"),
    Index(None, "day"),
)
"""What each campaign cost and brought on each day, by the platform's count; ``segment`` is empty where unknown."""

budget_changes = Table(
    "budget_changes",
    metadata,
    _key("change_id"),
    _text("proposal_id"),
    _text("platform"),
    _whole("at_ms"),
    _text("by_name"),
    _text("status"),
    _text("amounts_before"),
    _text("amounts_after"),
    _text("detail"),
    Index(None, "at_ms"),
    Index(None, "proposal_id"),
)
"""Proposals that were carried out or rolled back: who approved, and each segment's amount before and after, JSON."""

segment_budgets = Table(
    "segment_budgets",
    metadata,
    _key("platform"),
    _key("segment"),
    _whole("daily_minor"),
    _whole("minimum_minor"),
    Column("is_learning", Integer, nullable=False),
    _whole("read_ms"),
)
"""What each segment may spend a day at a platform, as last read there, and what holds it: minimum, learning phase."""
