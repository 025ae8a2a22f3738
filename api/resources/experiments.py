"""Experiments as the API returns them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from api.resources.base import Read
from api.resources.mlflow_url import page_url
from core.db import tables
from core.settings import Settings


class Experiment(Read):
    """A named group of jobs, created by the first job that names it."""

    name: Annotated[str, Field(examples=["digits"])]
    created_at: datetime
    mlflow_experiment_id: str | None = None
    mlflow_url: str | None = None

    @classmethod
    def of(cls, row: tables.Experiment, settings: Settings) -> Self:
        """The experiment in a row."""
        return cls.from_row(row, mlflow_url=page_url(settings, row.mlflow_experiment_id))
