"""Index queued jobs whose MLflow run must be created again as not mirrored."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

BEGUN = "mlflow_run_id IS NOT NULL OR finished_at IS NOT NULL"
DIFFERS = "mirrored_status IS NULL OR mirrored_status <> status"


def upgrade() -> None:
    """Go one revision up."""
    _replace(f"({BEGUN} OR mirrored_status IS NOT NULL) AND ({DIFFERS})")


def downgrade() -> None:
    """Go one revision back."""
    _replace(f"({BEGUN}) AND ({DIFFERS})")


def _replace(condition: str) -> None:
    op.drop_index("ix_jobs_unmirrored", table_name="jobs")
    op.create_index(
        "ix_jobs_unmirrored",
        "jobs",
        ["created_at"],
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
