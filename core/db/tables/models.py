"""Registered models, their versions, aliases and evaluations."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db.clock import now
from core.db.tables.base import Base, Big, Created, Key
from core.db.tables.datasets import DatasetVersion
from core.db.tables.jobs import Job
from core.db.types import Timestamp


class RegisteredModel(Base):
    """A named sequence of versions of a trained model.

    `revision` grows with each new version and each change of an alias; `mirrored_revision` is the
    last one that MLflow's model registry shows.
    """

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[Created]
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    mirrored_revision: Mapped[int] = mapped_column(default=0, server_default="0")
    mirror_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    mirror_not_before: Mapped[datetime] = mapped_column(
        Timestamp, default=now(), server_default="0"
    )


class ModelVersion(Base):
    """The model of a finished job as `name@version`; a job is at most one version of a model."""

    __tablename__ = "model_versions"
    __table_args__ = (
        Unique("model_id", "job_id"),
        Index(None, "job_id"),
        CheckConstraint("version >= 1", name="version_from_one"),
    )

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    owner: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(4096), default="")
    created_at: Mapped[Created]

    model: Mapped[RegisteredModel] = relationship(lazy="joined", innerjoin=True)
    job: Mapped[Job] = relationship(lazy="joined", innerjoin=True)


class ModelAlias(Base):
    """A name for a version of a model, such as `digits@champion`."""

    __tablename__ = "model_aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model_id", "version"], ["model_versions.model_id", "model_versions.version"]
        ),
    )

    model_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int]
    created_at: Mapped[Created]


class AliasChange(Base):
    """A change of an alias of a model: the new version (None: removed) and the reason."""

    __tablename__ = "model_alias_changes"
    __table_args__ = (Index(None, "model_id", "alias"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    alias: Mapped[str] = mapped_column(String(255))
    version: Mapped[int | None]
    before: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(4096))
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]


class Evaluation(Base):
    """Metrics of a job's model on a dataset version, for all rows and for slices.

    `evaluated_by` is the evaluation job, `confusion` the confusion matrix.
    """

    __tablename__ = "evaluations"
    __table_args__ = (
        Index(None, "job_id", "dataset_version_id"),
        Index(None, "evaluated_by", unique=True),
        CheckConstraint("rows >= 1", name="rows_from_one"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[Key] = mapped_column(ForeignKey("jobs.id"))
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"))
    rows: Mapped[Big]
    metrics: Mapped[dict[str, Any]]
    slices: Mapped[list[Any]]
    confusion: Mapped[dict[str, Any] | None]
    evaluated_by: Mapped[str | None] = mapped_column(String(32))
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]

    dataset_version: Mapped[DatasetVersion] = relationship(lazy="joined", innerjoin=True)
