"""Add the key of jobs that can be trained as a stack."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("jobs", sa.Column("stack_key", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_jobs_stacks",
        "jobs",
        ["stack_key", "created_at"],
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )


def downgrade() -> None:
    """Go one revision back."""
    op.drop_index("ix_jobs_stacks", "jobs")
    op.drop_column("jobs", "stack_key")
