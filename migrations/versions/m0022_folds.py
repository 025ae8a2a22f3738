"""Create the table of folds; add the deviations of cross-validated trials."""

import sqlalchemy as sa
from alembic import op

from core.db.types import Document

revision = "0022"
down_revision = "0018"


def upgrade() -> None:
    """Go one revision up."""
    op.add_column("trials", sa.Column("deviations", Document(), nullable=True))
    op.create_table(
        "folds",
        sa.Column("sweep_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_folds_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["sweep_id", "number"],
            ["trials.sweep_id", "trials.number"],
            name=op.f("fk_folds_sweep_id_number_trials"),
        ),
        sa.PrimaryKeyConstraint("sweep_id", "number", "fold", name=op.f("pk_folds")),
        sa.UniqueConstraint("job_id", name=op.f("uq_folds_job_id")),
    )


def downgrade() -> None:
    """Go one revision back."""
    op.drop_table("folds")
    op.drop_column("trials", "deviations")
