"""Experiments: named groups of jobs."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.tables.base import Base, Created


class Experiment(Base):
    """A named group of jobs, created by the first job that names it."""

    __tablename__ = "experiments"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[Created]
    mlflow_experiment_id: Mapped[str | None] = mapped_column(String(64))
    archived_at: Mapped[datetime | None]
