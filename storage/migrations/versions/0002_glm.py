"""What the windowed regression said, beside the other models."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("customers", "scores", "training_examples")


def upgrade() -> None:
    """Add the column; 0 says that the model did not answer."""
    for table in TABLES:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("glm_minor", sa.Float(precision=53), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the column."""
    for table in TABLES:
        with op.batch_alter_table(table) as batch:
            batch.drop_column("glm_minor")
