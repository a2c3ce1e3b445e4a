"""Audiences, their members and what was done to them; conversions; campaigns' days; budget changes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ORDERED_TEXT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
NAMES = (
    *("audience_customers", "audiences", "audience_members", "ad_operations"),
    *("suppressions", "conversions", "campaign_days", "budget_changes"),
)


def upgrade() -> None:
    """Create the tables."""
    _create(
        "audience_customers",
        _key("customer_id"),
        sa.Column("segment", sa.Text(), nullable=True),
        _whole("clv_minor"),
        sa.Column("churn_probability", sa.Float(53), nullable=False),
        _whole("order_count"),
        _whole("as_of_ms"),
        _text("reason"),
    )
    _create(
        "audiences",
        _key("platform"),
        _key("name"),
        *(_text(name) for name in ("remote_id", "status", "detail")),
        _whole("waiting_until_ms"),
        _whole("synced_ms"),
        _text("session"),
        _text("counts"),
    )
    _create(
        "audience_members",
        _key("platform"),
        _key("audience"),
        _key("customer_id"),
        _text("identifiers"),
        _whole("value_minor"),
        _text("status"),
        _text("detail"),
    )
    _create(
        "ad_operations",
        _key("operation_id"),
        _whole("at_ms"),
        *(_text(name) for name in ("platform", "subject", "operation")),
        _whole("row_count"),
        _whole("rejected_count"),
        _text("outcome"),
        _text("detail"),
    )
    _create("suppressions", _key("digest"), _text("cause"), _whole("at_ms"))
    _create(
        "conversions",
        _key("event_id"),
        _text("customer_id"),
        *(_whole(name) for name in ("occurred_ms", "value_minor", "predicted_minor")),
        _text("status"),
        _text("detail"),
        _whole("at_ms"),
    )
    _create(
        "campaign_days",
        _key("platform"),
        _key("campaign_id"),
        _key("day"),
        *(_text(name) for name in ("name", "segment", "currency")),
        *(
            _whole(name)
            for name in ("spend_minor", "impressions", "clicks", "purchases", "new_customers", "value_minor")
        ),
        _text("source"),
        _whole("pulled_ms"),
    )
    _create(
        "budget_changes",
        _key("change_id"),
        _text("proposal_id"),
        _text("platform"),
        _whole("at_ms"),
        *(_text(name) for name in ("by_name", "status", "amounts_before", "amounts_after", "detail")),
    )
    for table, columns in (
        ("audience_members", ("platform", "audience", "identifiers")),
        ("audience_members", ("platform", "audience", "status")),
        ("ad_operations", ("at_ms", "operation_id")),
        ("conversions", ("status", "occurred_ms")),
        ("conversions", ("customer_id",)),
        ("campaign_days", ("day",)),
        ("budget_changes", ("at_ms",)),
        ("budget_changes", ("proposal_id",)),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def downgrade() -> None:
    """Drop them."""
    for name in reversed(NAMES):
        op.drop_table(name)


def _create(name: str, *columns: sa.Column) -> None:
    keys = [column.name for column in columns if column.info.get("is_key")]
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{name}")))


def _key(name: str) -> sa.Column:
    return sa.Column(name, ORDERED_TEXT, autoincrement=False, nullable=False, info={"is_key": True})


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False)
