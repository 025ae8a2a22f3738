"""Sweeps as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from api.resources.base import Read
from api.resources.trials import Trial
from chainrule.contract.status import SweepStatus
from core import sweeps
from core.db import tables
from core.search.plot_kinds import kinds
from core.spec.sweep import SweepSpec
from core.spec.version import completed


class Spent(Read):
    """What a sweep has spent of its `budget`."""

    seconds: Annotated[float, Field(description="running time without pauses")]
    epochs: Annotated[int, Field(description="epochs trained by its trials")]


class Sweep(Read):
    """A search over hyperparameters and its progress."""

    id: str
    name: str
    status: SweepStatus
    n_trials: Annotated[int, Field(description="total number of trials")]
    max_parallel: int
    trials: dict[str, int] = Field(description="number of started trials, by state")
    best: list[Trial] = Field(description="best trial, or the Pareto front of several objectives")
    dataset: Annotated[str, Field(examples=["digits@1"])]
    owner: str
    spec: dict[str, Any] = Field(description="the submitted SweepSpec with all defaults")
    plots: list[str] = Field(description="paths of its plots, which are HTML pages")
    spent: Spent
    stopped_by: str | None = Field(None, description="budget that ended it early")
    created_at: datetime
    finished_at: datetime | None = None

    @classmethod
    def of(cls, session: Session, row: tables.Sweep) -> Self:
        """The sweep in a row, with its trial counts, best trials and what it has spent."""
        # A row that this transaction changed has expired columns.
        session.refresh(row, inspect(row).mapper.column_attrs.keys())
        version = row.dataset_version
        objective = row.spec["objective"]
        objectives = len(objective) if isinstance(objective, list) else 1
        return cls.from_row(
            row,
            trials=sweeps.counts(session, row.id),
            best=[Trial.of(trial) for trial in sweeps.best(session, row)],
            dataset=f"{version.dataset.name}@{version.version}",
            spec=completed(SweepSpec, row.spec),
            plots=[
                f"/v1/sweeps/{row.id}/plots/{kind}"
                for kind in kinds(len(row.spec["search_space"]), objectives)
            ],
            spent=Spent.from_row(sweeps.spent(session, row)),
        )


class SweepChange(Read):
    """A change of a sweep by its owner."""

    at: datetime
    by: str
    kind: Annotated[str, Field(examples=["edited", "points_added", "retried", "paused"])]
    what: dict[str, Any]


class Forecast(Read):
    """The estimated cost of a sweep without pruning; null where unknown."""

    basis: Literal["history", "measured", "unknown"] = Field(
        description="an earlier similar sweep, timed batches, or nothing"
    )
    trials: int
    slots: Annotated[int, Field(description="number of jobs that workers run in parallel")]
    trials_a_minute: float | None
    seconds: float | None
    finish_at: datetime | None
    cpu_seconds: float | None
    sweep_id: str | None = Field(description="the earlier similar sweep")


class BestTrial(Read):
    """The best trial of a sweep, and a job that reproduces it."""

    trial: Trial
    job: dict[str, Any] = Field(description="a JobSpec")
