"""What the API reads: sums over customers, a numbered feed of segment changes, activity, heartbeats, keys, replays."""

import math
from collections import defaultdict
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ORDERED_TEXT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
WIDE = sa.BigInteger().with_variant(sa.Numeric(38, 0), "postgresql")
MEASURES = (
    *("customers", "orders", "revenue_minor", "refunded_minor"),
    *("clv_minor", "clv_lower_minor", "clv_upper_minor", "spread"),
)


def upgrade() -> None:
    """Create the tables; sums and feed are made from what is there, days and curves as of each customer's last score."""
    _create_sums()
    _create_rest()
    _number_changes()
    with op.batch_alter_table("dead_letters") as batch:
        batch.add_column(sa.Column("stored_ms", sa.BigInteger(), nullable=False, server_default="-1"))
    for columns in (
        ("clv_minor", "customer_id"),
        ("segment", "clv_minor", "customer_id"),
        ("revenue_minor", "customer_id"),
        ("last_order_ms", "customer_id"),
    ):
        op.create_index(op.f(f"ix_customers_{'_'.join(columns)}"), "customers", list(columns))
    _fill_sums(op.get_bind())


def downgrade() -> None:
    """Drop what the API alone reads."""
    for columns in (
        ("clv_minor", "customer_id"),
        ("segment", "clv_minor", "customer_id"),
        ("revenue_minor", "customer_id"),
        ("last_order_ms", "customer_id"),
    ):
        op.drop_index(op.f(f"ix_customers_{'_'.join(columns)}"), table_name="customers")
    with op.batch_alter_table("dead_letters") as batch:
        batch.drop_column("stored_ms")
    op.drop_index(op.f("ix_segment_changes_partition_feed_seq"), table_name="segment_changes")
    with op.batch_alter_table("segment_changes") as batch:
        batch.drop_column("feed_seq")
        batch.drop_column("partition")
    for name in ("letter_replays", "api_keys", "heartbeats", "activity", "segment_moves", "totals", "feeds"):
        op.drop_table(name)


def _key(name: str, kind: object = ORDERED_TEXT) -> sa.Column:
    return sa.Column(name, kind, autoincrement=False, nullable=False)


def _create_sums() -> None:
    op.create_table(
        "feeds",
        _key("partition", sa.Integer()),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_feeds")),
    )
    op.create_table(
        "totals",
        *(_key(name) for name in ("dimension", "name", "segment")),
        _key("partition", sa.Integer()),
        *(sa.Column(name, WIDE, nullable=False) for name in MEASURES),
        sa.PrimaryKeyConstraint("dimension", "name", "segment", "partition", name=op.f("pk_totals")),
    )
    op.create_table(
        "segment_moves",
        *(_key(name) for name in ("day", "from_segment", "to_segment", "reason")),
        _key("partition", sa.Integer()),
        *(sa.Column(name, WIDE, nullable=False) for name in ("changes", "clv_before_minor", "clv_after_minor")),
        sa.PrimaryKeyConstraint(
            "day", "from_segment", "to_segment", "reason", "partition", name=op.f("pk_segment_moves")
        ),
    )
    op.create_table(
        "activity",
        _key("at_ms", sa.BigInteger()),
        _key("partition", sa.Integer()),
        *(
            sa.Column(name, WIDE, nullable=False)
            for name in ("orders", "scores", "segment_changes", "dead_letters")
        ),
        sa.PrimaryKeyConstraint("at_ms", "partition", name=op.f("pk_activity")),
    )


def _create_rest() -> None:
    op.create_table(
        "heartbeats",
        _key("role"),
        _key("instance"),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("role", "instance", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "api_keys",
        _key("key_id"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("name", "scopes", "digest")),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "letter_replays",
        _key("topic"),
        _key("incarnation"),
        _key("partition", sa.Integer()),
        _key("offset", sa.BigInteger()),
        sa.Column("requested_ms", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "incarnation", "partition", "offset", name=op.f("pk_letter_replays")),
    )
    op.create_index(op.f("ix_letter_replays_sent_ms"), "letter_replays", ["sent_ms"])


def _number_changes() -> None:
    """Changes stored before belong to partition -1, numbered by event time; those to come begin at 0 in their own."""
    with op.batch_alter_table("segment_changes") as batch:
        batch.add_column(sa.Column("partition", sa.Integer(), nullable=False, server_default="-1"))
        batch.add_column(sa.Column("feed_seq", sa.BigInteger(), nullable=False, server_default="-1"))
    op.execute(
        "UPDATE segment_changes SET feed_seq = numbered.seq FROM (SELECT event_id AS id, "
        "row_number() OVER (ORDER BY as_of_ms, event_id) - 1 AS seq FROM segment_changes) AS numbered "
        "WHERE numbered.id = segment_changes.event_id"
    )
    op.create_index(
        op.f("ix_segment_changes_partition_feed_seq"), "segment_changes", ["partition", "feed_seq"], unique=True
    )


def _day(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).date().isoformat() if moment_ms >= 0 else ""


def _fill_sums(connection: sa.Connection) -> None:
    sums = defaultdict(lambda: [0] * len(MEASURES))
    rows = connection.execute(
        sa.text(
            "SELECT partition, segment, acquisition_source, campaign_type, confidence, first_order_ms, as_of_ms, "
            "order_count, revenue_minor, refunded_minor, clv_minor, clv_lower_minor, clv_upper_minor FROM customers"
        )
    )
    for row in rows:
        half_width = (row.clv_upper_minor - row.clv_lower_minor) // 200
        figures = (1, *row[7:13], min(half_width**2, 10**12))
        segment = row.segment or ""
        first, last = _day(row.first_order_ms), _day(row.as_of_ms)
        age = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:7]) - int(first[5:7]) if first and first <= last else 0
        level = 1 + int(math.log2(row.clv_minor) * 8) if row.clv_minor > 0 else 0
        for place in (
            ("segment", segment, segment),
            ("source", row.acquisition_source, segment),
            ("campaign", row.campaign_type, segment),
            ("cohort", first[:7], ""),
            ("level", f"{level:04d}", ""),
            ("confidence", row.confidence, ""),
            ("day", last, ""),
            ("curve", f"{first[:7]}/{age:03d}", ""),
        ):
            into = sums[(*place, row.partition)]
            for number, figure in enumerate(figures):
                into[number] += figure
    names = ("dimension", "name", "segment", "partition", *MEASURES)
    table = sa.table("totals", *(sa.column(name) for name in names))
    filled = [dict(zip(names, (*place, *figures), strict=True)) for place, figures in sums.items()]
    if filled:
        connection.execute(sa.insert(table), filled)
    moves = defaultdict(lambda: [0, 0, 0])
    for row in connection.execute(
        sa.text(
            "SELECT as_of_ms, from_segment, to_segment, reason, clv_before_minor, clv_after_minor FROM segment_changes"
        )
    ):
        into = moves[_day(row.as_of_ms), row.from_segment or "", row.to_segment, row.reason, -1]
        for number, figure in enumerate((1, max(row.clv_before_minor, 0), row.clv_after_minor)):
            into[number] += figure
    names = ("day", "from_segment", "to_segment", "reason", "partition", "changes", "clv_before_minor", "clv_after_minor")
    table = sa.table("segment_moves", *(sa.column(name) for name in names))
    filled = [dict(zip(names, (*place, *figures), strict=True)) for place, figures in moves.items()]
    if filled:
        connection.execute(sa.insert(table), filled)
