"""Indexes by which old rows are deleted; which curves are short; which sources are used."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

_DETAILED = sa.text("finished_at IS NOT NULL AND thinned_at IS NULL")
_KEPT = sa.text("erased_at IS NULL")
_UNUSED = sa.text("used_at IS NULL")
_INDEXES = (
    ("ix_job_events_at", "job_events", "at", None),
    ("ix_log_lines_at", "log_lines", "at", None),
    ("ix_idempotency_keys_created_at", "idempotency_keys", "created_at", None),
    ("ix_webhook_deliveries_created_at", "webhook_deliveries", "created_at", None),
    ("ix_checkpoints_kept", "checkpoints", "created_at", _KEPT),
    ("ix_sources_unused", "sources", "sent_at", _UNUSED),
    ("ix_jobs_detailed", "jobs", "finished_at", _DETAILED),
)


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("jobs", sa.Column("thinned_at", sa.BigInteger(), nullable=True))
    op.add_column("sources", sa.Column("sent_at", sa.BigInteger(), nullable=True))
    op.add_column("sources", sa.Column("used_at", sa.BigInteger(), nullable=True))
    # Until now sources were sent only along with a job or a sweep.
    op.execute("UPDATE sources SET sent_at = created_at, used_at = created_at")
    for name, table, column, where in _INDEXES:
        op.create_index(name, table, [column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Go one revision back."""
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    op.drop_column("sources", "used_at")
    op.drop_column("sources", "sent_at")
    op.drop_column("jobs", "thinned_at")
