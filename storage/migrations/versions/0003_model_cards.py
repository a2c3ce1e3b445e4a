"""Model cards, and events of who answers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ORDERED_TEXT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables; versions published before have no card."""
    op.create_table(
        "model_cards",
        sa.Column("version", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("learned_through_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column("ensemble_digest", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_model_cards")),
    )
    op.create_index(op.f("ix_model_cards_learned_through_ms"), "model_cards", ["learned_through_ms"], unique=False)
    op.create_table(
        "model_events",
        sa.Column("version", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("from_champion", sa.Text(), nullable=False),
        sa.Column("to_champion", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_model_events")),
    )


def downgrade() -> None:
    """Drop the tables; the learner and what it published stay."""
    op.drop_table("model_events")
    op.drop_index(op.f("ix_model_cards_learned_through_ms"), table_name="model_cards")
    op.drop_table("model_cards")
