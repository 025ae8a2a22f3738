"""Jobs keep notes and changed tags; runs of deleted jobs and sweeps are deleted in MLflow."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("jobs", sa.Column("removed_tags", Document(), nullable=True))
    op.add_column("jobs", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("edits", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "deleted_runs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tag", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deleted_runs"),
    )


def downgrade() -> None:
    """Go one revision back."""
    op.drop_table("deleted_runs")
    op.drop_column("jobs", "edits")
    op.drop_column("jobs", "note")
    op.drop_column("jobs", "removed_tags")
