"""Add evaluation and scoring jobs; record evaluating jobs and confusion matrices."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0018"
down_revision = "0020"

KINDS = "kind IN ('train', 'evaluate', 'score')"
USED = "(kind = 'train') = (model_job_id IS NULL)"


def upgrade() -> None:
    """Go one revision up."""
    # Altered in place, with the constraints: a table made anew would lose its triggers.
    op.execute(
        "ALTER TABLE jobs ADD COLUMN kind VARCHAR(16) DEFAULT 'train' NOT NULL"
        f" CONSTRAINT ck_jobs_kind_known CHECK ({KINDS})"
    )
    op.execute(
        "ALTER TABLE jobs ADD COLUMN model_job_id VARCHAR(32)"
        f" CONSTRAINT ck_jobs_model_iff_used CHECK ({USED})"
    )
    columns = ["model_job_id", "dataset_version_id"]
    op.create_index("ix_jobs_model_job_id_dataset_version_id", "jobs", columns)
    op.add_column("evaluations", sa.Column("confusion", Document(), nullable=True))
    op.add_column("evaluations", sa.Column("evaluated_by", sa.String(32), nullable=True))
    op.create_index("ix_evaluations_evaluated_by", "evaluations", ["evaluated_by"], unique=True)


def downgrade() -> None:
    """Go one revision back."""
    op.drop_index("ix_evaluations_evaluated_by", "evaluations")
    op.drop_column("evaluations", "evaluated_by")
    op.drop_column("evaluations", "confusion")
    op.drop_index("ix_jobs_model_job_id_dataset_version_id", "jobs")
    op.drop_column("jobs", "model_job_id")
    op.drop_column("jobs", "kind")
