"""Create the table of log lines."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go one revision up."""
    op.create_table(
        "log_lines",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_log_lines_job_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_log_lines"),
        sa.UniqueConstraint(
            "job_id", "attempt", "number", name="uq_log_lines_job_id_attempt_number"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_lines_job_id_id", "log_lines", ["job_id", "id"])


def downgrade() -> None:
    """Go one revision back."""
    op.drop_index("ix_log_lines_job_id_id", "log_lines")
    op.drop_table("log_lines")
