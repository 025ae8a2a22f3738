"""Create the tables of sweeps; allow jobs to be pruned."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Go one revision up."""
    # Altered in place: a table made anew would lose its triggers.
    op.add_column("jobs", sa.Column("prune_requested_at", sa.BigInteger()))
    _sweeps()
    _trials()


def downgrade() -> None:
    """Go one revision back."""
    op.drop_table("trials")
    op.drop_table("sweeps")
    op.drop_column("jobs", "prune_requested_at")


def _sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("spec", DOCUMENT, nullable=False),
        sa.Column("dataset_version_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "running",
                "paused",
                "finished",
                "cancelled",
                name=op.f("ck_sweeps_status_known"),
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("n_trials", sa.Integer(), nullable=False),
        sa.Column("max_parallel", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("turn_until", sa.BigInteger(), nullable=False),
        sa.Column("state", DOCUMENT),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("mlflow_run_id", sa.String(length=64)),
        sa.Column("mirrored_status", sa.String(length=16)),
        sa.CheckConstraint(
            "issued >= 0 AND issued <= n_trials", name=op.f("ck_sweeps_within_budget")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_versions.id"],
            name=op.f("fk_sweeps_dataset_version_id_dataset_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_index("ix_sweeps_created_at_id", "sweeps", ["created_at", "id"])
    op.create_index("ix_sweeps_status", "sweeps", ["status"])


def _trials() -> None:
    op.create_table(
        "trials",
        sa.Column("sweep_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32)),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("point", DOCUMENT, nullable=False),
        sa.Column("objectives", DOCUMENT),
        sa.Column("attributes", DOCUMENT),
        sa.Column("judged_epoch", sa.Integer(), nullable=False),
        sa.Column("cause", DOCUMENT),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger()),
        sa.CheckConstraint(
            "(status = 'open') = (told_at IS NULL)", name=op.f("ck_trials_told_iff_ended")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'finished', 'failed', 'cancelled', 'pruned')",
            name=op.f("ck_trials_status_known"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_trials_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name=op.f("fk_trials_sweep_id_sweeps")
        ),
        sa.PrimaryKeyConstraint("sweep_id", "number", name=op.f("pk_trials")),
        sa.UniqueConstraint("job_id", name=op.f("uq_trials_job_id")),
    )
    waiting = sa.text("status = 'open'")
    op.create_index(
        "ix_trials_open", "trials", ["sweep_id"], sqlite_where=waiting, postgresql_where=waiting
    )
