"""Trials of sweeps as the API returns them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Metrics, Number, Read, metrics_in
from core.db import tables
from core.sweeps import combined_status


class TrialFold(Read):
    """One job of a cross-validated trial."""

    fold: Annotated[int, Field(ge=0, description="the fold used for validation")]
    job_id: str
    status: Annotated[str, Field(examples=["finished"])]
    epochs: Annotated[int, Field(ge=0)]
    last_metrics: Metrics = Field({})

    @classmethod
    def of(cls, fold: int, job: tables.Job) -> Self:
        """The job of a fold."""
        progress, result = job.progress or {}, job.result or {}
        return cls(
            fold=fold,
            job_id=job.id,
            status=job.status.value,
            epochs=progress.get("epoch", 0),
            last_metrics=metrics_in(progress.get("last")) | metrics_in(result.get("metrics")),
        )


class Trial(Read):
    """A point of a sweep with its job, or its jobs in a cross-validation."""

    number: Annotated[int, Field(ge=0)]
    status: Annotated[
        str, Field(examples=["finished"], description="status, first that of its job")
    ]
    job_id: str | None = Field(
        None, description="null for an invalid point and for a cross-validated trial"
    )
    folds: list[TrialFold] = Field([], description="the jobs of a cross-validated trial")
    point: dict[str, Any] = Field(description="values of the searched fields")
    objectives: list[Number] | None = Field(
        None, description="one value for each objective; means over the folds"
    )
    deviations: list[Number] | None = Field(None, description="standard deviations over the folds")
    epochs: int = Field(0, ge=0, description="epochs completed in every fold")
    last_metrics: Metrics = Field({})
    cause: dict[str, Any] | None = Field(None, description="why it failed")
    created_at: datetime
    ended_at: datetime | None = None

    @classmethod
    def of(
        cls, row: tables.Trial, job: tables.Job | None = None, folds: Sequence[tables.Job] = ()
    ) -> Self:
        """The trial in a row with its job, or with the jobs of its `folds` if it has several."""
        trial_jobs = list(folds) or ([] if job is None else [job])
        shown = [TrialFold.of(number, fold) for number, fold in enumerate(folds)]
        progress = (job.progress if job else None) or {}
        status = row.status
        if trial_jobs and row.open:
            status = combined_status(job.status for job in trial_jobs).value
        return cls.from_row(
            row,
            status=status,
            folds=shown,
            epochs=min((fold.epochs for fold in shown), default=progress.get("epoch", 0)),
            last_metrics=metrics_in(progress.get("last")),
            ended_at=row.told_at,
        )
