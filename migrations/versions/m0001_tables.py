"""Create the tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
INCREASING = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = (
    "experiments", "idempotency_keys", "nodes", "workers", "datasets", "dataset_versions",
    "aliases", "jobs", "attempts", "checkpoints", "metric_chunks", "job_events",
)  # fmt: skip


def upgrade() -> None:
    """Go one revision up."""
    _experiments()
    _idempotency_keys()
    _nodes()
    _workers()
    _datasets()
    _dataset_versions()
    _aliases()
    _jobs()
    _job_indexes()
    _attempts()
    _checkpoints()
    _metric_chunks()
    _job_events()


def downgrade() -> None:
    """Go one revision back."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=4096), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("name", name=op.f("uq_datasets_name")),
    )


def _dataset_versions() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("schema", DOCUMENT, nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger()),
        sa.CheckConstraint(
            "rows >= 0 AND bytes >= 0", name=op.f("ck_dataset_versions_sizes_not_negative")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_dataset_versions_version_from_one")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_versions_dataset_id_datasets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint(
            "dataset_id", "version", name=op.f("uq_dataset_versions_dataset_id_version")
        ),
    )
    op.create_index("ix_dataset_versions_digest", "dataset_versions", ["digest"])


def _aliases() -> None:
    op.create_table(
        "aliases",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id", "version"],
            ["dataset_versions.dataset_id", "dataset_versions.version"],
            name=op.f("fk_aliases_dataset_id_version_dataset_versions"),
        ),
        sa.PrimaryKeyConstraint("dataset_id", "name", name=op.f("pk_aliases")),
    )


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("mlflow_experiment_id", sa.String(length=64)),
        sa.Column("archived_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_keys")),
    )


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("devices", DOCUMENT, nullable=False),
        sa.Column("versions", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("draining_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nodes")),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("queues", DOCUMENT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("draining_at", sa.BigInteger()),
        sa.Column("stopped_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["node"], ["nodes.name"], name=op.f("fk_workers_node_nodes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index("ix_workers_node", "workers", ["node"])


def _job_request() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("dataset_version_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255)),
        sa.Column("tags", DOCUMENT, nullable=False),
        sa.Column("spec", DOCUMENT, nullable=False),
        sa.Column("spec_hash", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_of", sa.String(length=32)),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "paused",
                "running",
                "finished",
                "failed",
                "cancelled",
                "pruned",
                name="status_known",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
    ]


def _job_state() -> list[sa.Column[Any]]:
    return [
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=255)),
        sa.Column("worker", sa.String(length=255)),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("heartbeat_at", sa.BigInteger()),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger()),
        sa.Column("publish_count", sa.Integer(), nullable=False),
        sa.Column("cancel_requested_at", sa.BigInteger()),
        sa.Column("pause_requested_at", sa.BigInteger()),
        sa.Column("infra_failures", sa.Integer(), nullable=False),
        sa.Column("lost_at_step", sa.BigInteger()),
        sa.Column("progress_step", sa.BigInteger(), nullable=False),
        sa.Column("progress", DOCUMENT),
        sa.Column("checkpoint_id", sa.String(length=32)),
        sa.Column("cause", DOCUMENT),
        sa.Column("result", DOCUMENT),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("mlflow_run_id", sa.String(length=64)),
        sa.Column("mirrored_status", sa.String(length=16)),
        sa.Column("mirror_failures", sa.Integer(), nullable=False),
        sa.Column("mirror_not_before", sa.BigInteger(), nullable=False),
    ]


def _jobs() -> None:
    op.create_table(
        "jobs",
        *_job_request(),
        *_job_state(),
        sa.CheckConstraint(
            "(status = 'running') = (lease_until IS NOT NULL)",
            name=op.f("ck_jobs_lease_iff_running"),
        ),
        sa.CheckConstraint(
            "(status IN ('finished', 'failed', 'cancelled', 'pruned')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_end_iff_terminal"),
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_jobs_attempt_from_zero")),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_versions.id"],
            name=op.f("fk_jobs_dataset_version_id_dataset_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_jobs_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )


def _job_indexes() -> None:
    _partial_index("ix_jobs_leased", "jobs", ["lease_until"], "status = 'running'")
    _partial_index(
        "ix_jobs_unmirrored",
        "jobs",
        ["created_at"],
        "(mlflow_run_id IS NOT NULL OR finished_at IS NOT NULL)"
        " AND (mirrored_status IS NULL OR mirrored_status <> status)",
    )
    _partial_index(
        "ix_jobs_waiting", "jobs", ["queue", "priority", "created_at"], "status = 'queued'"
    )
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
    op.create_index(
        "ix_jobs_experiment_id_created_at_id", "jobs", ["experiment_id", "created_at", "id"]
    )
    op.create_index("ix_jobs_status_created_at_id", "jobs", ["status", "created_at", "id"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer()),
        sa.Column("versions", DOCUMENT),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column(
            "status",
            sa.Enum(
                "running",
                "finished",
                "failed",
                "cancelled",
                "pruned",
                "lost",
                "released",
                name="status_known",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("cause", DOCUMENT),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("peak_memory_bytes", sa.BigInteger()),
        sa.Column("resumed_from_step", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(status = 'running') = (ended_at IS NULL)", name=op.f("ck_attempts_end_iff_ended")
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_attempts_number_from_one")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_node_started_at", "attempts", ["node", "started_at"])


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("best", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_checkpoints_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
        sa.UniqueConstraint(
            "job_id", "attempt", "step", name=op.f("uq_checkpoints_job_id_attempt_step")
        ),
    )


def _metric_chunks() -> None:
    op.create_table(
        "metric_chunks",
        sa.Column("id", INCREASING, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("keys", DOCUMENT, nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("mirrored_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_metric_chunks_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_chunks")),
        sa.UniqueConstraint(
            "job_id", "attempt", "sequence", name=op.f("uq_metric_chunks_job_id_attempt_sequence")
        ),
        sqlite_autoincrement=True,
    )
    _partial_index(
        "ix_metric_chunks_unmirrored", "metric_chunks", ["job_id", "id"], "mirrored_at IS NULL"
    )
    op.create_index("ix_metric_chunks_job_id_id", "metric_chunks", ["job_id", "id"])


def _job_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", INCREASING, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", DOCUMENT),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_events_job_id_id", "job_events", ["job_id", "id"])
