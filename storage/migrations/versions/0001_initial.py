"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ORDERED_TEXT = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "artifacts",
        sa.Column("digest", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("name", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("version", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("learned_through_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "name", "version", name=op.f("pk_artifacts")),
    )
    op.create_index(op.f("ix_artifacts_name_version"), "artifacts", ["name", "version"], unique=False)
    op.create_table(
        "budget_signals",
        sa.Column(
            "event_id",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("proposal_id", sa.Text(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_budget_minor", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("total_clv_minor", sa.BigInteger(), nullable=False),
        sa.Column("mean_clv_minor", sa.BigInteger(), nullable=False),
        sa.Column("share", sa.Float(precision=53), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("baseline_amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("cac_target_minor", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("binding_constraint", sa.Text(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_budget_signals")),
    )
    op.create_index(op.f("ix_budget_signals_as_of_ms"), "budget_signals", ["as_of_ms"], unique=False)
    op.create_table(
        "customer_states",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("row", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "key", name=op.f("pk_customer_states")),
    )
    op.create_table(
        "customers",
        sa.Column(
            "customer_id",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("clv_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_lower_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_upper_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_year_minor", sa.BigInteger(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.Column("churn_probability", sa.Float(precision=53), nullable=False),
        sa.Column("expected_next_order_ms", sa.BigInteger(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("btyd_minor", sa.Float(precision=53), nullable=False),
        sa.Column("online_minor", sa.Float(precision=53), nullable=False),
        sa.Column("ensemble_minor", sa.Float(precision=53), nullable=False),
        sa.Column("model_versions", sa.Text(), nullable=False),
        sa.Column("order_count", sa.BigInteger(), nullable=False),
        sa.Column("revenue_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("first_order_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_order_ms", sa.BigInteger(), nullable=False),
        sa.Column("acquisition_source", sa.Text(), nullable=False),
        sa.Column("campaign_type", sa.Text(), nullable=False),
        sa.Column("score_event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customers")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("topic", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column(
            "incarnation",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "incarnation", "partition", "offset", name=op.f("pk_dead_letters")),
    )
    op.create_index(op.f("ix_dead_letters_reason"), "dead_letters", ["reason"], unique=False)
    op.create_table(
        "learner",
        sa.Column("name", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("offsets", sa.Text(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_learner")),
    )
    op.create_table(
        "metrics",
        sa.Column("name", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metrics")),
    )
    op.create_table(
        "models",
        sa.Column("name", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("version", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("learned_through_ms", sa.BigInteger(), nullable=False),
        sa.Column("feature_digest", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_models")),
    )
    op.create_table(
        "partitions",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("watermark_ms", sa.BigInteger(), nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("applied_offset", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_partitions")),
    )
    op.create_table(
        "replay_positions",
        sa.Column("key", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_replay_positions")),
    )
    op.create_table(
        "scores",
        sa.Column(
            "event_id",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("clv_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_lower_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_upper_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_year_minor", sa.BigInteger(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.Column("churn_probability", sa.Float(precision=53), nullable=False),
        sa.Column("expected_next_order_ms", sa.BigInteger(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("btyd_minor", sa.Float(precision=53), nullable=False),
        sa.Column("online_minor", sa.Float(precision=53), nullable=False),
        sa.Column("ensemble_minor", sa.Float(precision=53), nullable=False),
        sa.Column("model_versions", sa.Text(), nullable=False),
        sa.Column("order_count", sa.BigInteger(), nullable=False),
        sa.Column("revenue_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_scores")),
    )
    op.create_index(op.f("ix_scores_customer_id_as_of_ms"), "scores", ["customer_id", "as_of_ms"], unique=False)
    op.create_table(
        "segment_changes",
        sa.Column(
            "event_id",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("from_segment", sa.Text(), nullable=True),
        sa.Column("to_segment", sa.Text(), nullable=False),
        sa.Column("clv_before_minor", sa.BigInteger(), nullable=False),
        sa.Column("clv_after_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("model_versions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_segment_changes")),
    )
    op.create_index(op.f("ix_segment_changes_as_of_ms"), "segment_changes", ["as_of_ms"], unique=False)
    op.create_index(op.f("ix_segment_changes_customer_id"), "segment_changes", ["customer_id"], unique=False)
    op.create_table(
        "sink_offsets",
        sa.Column("topic", ORDERED_TEXT, autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_sink_offsets")),
    )
    op.create_table(
        "training_examples",
        sa.Column(
            "event_id",
            ORDERED_TEXT,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("as_of_ms", sa.BigInteger(), nullable=False),
        sa.Column("matured_ms", sa.BigInteger(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("feature_digest", sa.Text(), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.Column("acquisition_source", sa.Text(), nullable=False),
        sa.Column("campaign_type", sa.Text(), nullable=False),
        sa.Column("clv_minor", sa.Float(precision=53), nullable=False),
        sa.Column("btyd_minor", sa.Float(precision=53), nullable=False),
        sa.Column("online_minor", sa.Float(precision=53), nullable=False),
        sa.Column("ensemble_minor", sa.Float(precision=53), nullable=False),
        sa.Column("naive_minor", sa.Float(precision=53), nullable=False),
        sa.Column("scorer_version", sa.Text(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_training_examples")),
    )
    op.create_index(op.f("ix_training_examples_customer_id"), "training_examples", ["customer_id"], unique=False)
    op.create_index(
        op.f("ix_training_examples_matured_ms_event_id"), "training_examples", ["matured_ms", "event_id"], unique=False
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_index(op.f("ix_training_examples_matured_ms_event_id"), table_name="training_examples")
    op.drop_index(op.f("ix_training_examples_customer_id"), table_name="training_examples")
    op.drop_table("training_examples")
    op.drop_table("sink_offsets")
    op.drop_index(op.f("ix_segment_changes_customer_id"), table_name="segment_changes")
    op.drop_index(op.f("ix_segment_changes_as_of_ms"), table_name="segment_changes")
    op.drop_table("segment_changes")
    op.drop_index(op.f("ix_scores_customer_id_as_of_ms"), table_name="scores")
    op.drop_table("scores")
    op.drop_table("replay_positions")
    op.drop_table("partitions")
    op.drop_table("models")
    op.drop_table("metrics")
    op.drop_table("learner")
    op.drop_index(op.f("ix_dead_letters_reason"), table_name="dead_letters")
    op.drop_table("dead_letters")
    op.drop_table("customers")
    op.drop_table("customer_states")
    op.drop_index(op.f("ix_budget_signals_as_of_ms"), table_name="budget_signals")
    op.drop_table("budget_signals")
    op.drop_index(op.f("ix_artifacts_name_version"), table_name="artifacts")
    op.drop_table("artifacts")
