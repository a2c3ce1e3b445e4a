"""Segments' budgets as they stand at a platform."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ORDERED_TEXT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "segment_budgets",
        sa.Column("platform", ORDERED_TEXT, nullable=False),
        sa.Column("segment", ORDERED_TEXT, nullable=False),
        sa.Column("daily_minor", sa.BigInteger(), nullable=False),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=False),
        sa.Column("is_learning", sa.Integer(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "segment", name=op.f("pk_segment_budgets")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("segment_budgets")
