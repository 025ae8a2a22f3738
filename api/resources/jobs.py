"""Jobs and their attempts as the API returns them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Metrics, Number, Read, metrics_in
from api.resources.mlflow_url import page_url
from chainrule.contract.status import AttemptStatus, JobKind, JobStatus
from core import jobs
from core.db import tables
from core.events import baseline_warning
from core.nodes import QueueWorkers
from core.settings import Settings


class Attempt(Read):
    """One attempt at a job by a worker."""

    number: Annotated[int, Field(ge=1)]
    node: Annotated[str, Field(description="name of the machine")]
    worker: str
    status: AttemptStatus
    started_at: datetime
    ended_at: datetime | None = None
    cause: dict[str, Any] | None = Field(None, description="why it did not finish")
    charged: bool = Field(True, description="whether a loss counts against `max_attempts`")
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    resumed_from_step: int = Field(0, description="step of the checkpoint that it started from")
    versions: dict[str, Any] | None = None


class Baseline(Read):
    """The trivial baseline, which predicts the same for every row, and a model on the same rows."""

    metric: Annotated[str, Field(examples=["test/accuracy"])]
    rows: int
    value: Annotated[Number, Field(description="the metric of the model")]
    baseline_value: Annotated[Number, Field(description="the metric of the baseline")]
    prediction: Annotated[str, Field(examples=["majority class", "mean"])]
    better: Annotated[bool, Field(description="whether the model is better than the baseline")]


class JobSummary(Read):
    """A job in a list."""

    id: str
    kind: JobKind = Field(description="train a network, evaluate a model, or score rows with it")
    model_job_id: str | None = Field(
        None, description="the job whose model is evaluated or scored; null for training"
    )
    status: JobStatus
    experiment: str
    name: str | None = None
    dataset: Annotated[str, Field(examples=["digits@1"])]
    device: Annotated[str, Field(examples=["cpu"])]
    priority: int
    tags: dict[str, str]
    note: str | None = Field(None, description="a text of the owner")
    owner: str
    retry_of: str | None = Field(None, description="the job that this one retries")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    epochs: int = Field(0, ge=0, description="completed epochs")
    epochs_total: int | None = Field(None, description="requested epochs")
    step: int = Field(
        0, ge=0, description="optimizer updates, or row ranges of an evaluation or scoring"
    )
    steps_total: int | None = None
    rows: int | None = Field(None, description="processed rows of an evaluation or scoring")
    rows_total: int | None = Field(None, description="rows to process")
    weights: int | None = Field(None, description="number of trainable weights")
    last_metrics: Metrics = Field({})
    best_metrics: Metrics = Field({}, description="metrics of the best epoch")
    best_epoch: int | None = Field(None, description="the best epoch so far, from 1")
    best_metric: Annotated[str | None, Field(examples=["valid/loss"])] = Field(
        None, description="the metric by which that epoch is best"
    )
    weights_digest: str | None = Field(None, description="SHA-256 of the trained weights")
    predictions_digest: str | None = Field(
        None, description="SHA-256 of the predictions of the job"
    )
    baseline: Baseline | None = Field(
        None, description="comparison with a model that predicts the same for every row"
    )
    warnings: list[str] = Field([], description="what is suspicious about the result")
    reason: str | None = Field(None, description="why training stopped: epochs, patience, ...")
    cause: dict[str, Any] | None = Field(None, description="why the job failed")
    waits_for: str | None = Field(
        None,
        description="what is required before a worker can take a queued job; null: a free worker",
    )
    cancel_requested_at: datetime | None = None
    pause_requested_at: datetime | None = None
    attempt: int = Field(0, ge=0, description="number of attempts")
    mlflow_run_id: str | None = None
    mlflow_url: str | None = Field(None, description="page of the run in MLflow")

    @classmethod
    def of(
        cls, row: tables.Job, settings: Settings, queues: Mapping[str, QueueWorkers]
    ) -> "JobSummary":
        """The job in a row; `queues`: the live workers of each queue."""
        return JobSummary.from_row(row, **_derived(row, settings, queues))


class Job(JobSummary):
    """A job with its spec and its attempts."""

    spec: dict[str, Any] = Field(description="the submitted spec with all defaults")
    spec_version: int = Field(1, description="minimum spec version of a worker that can run it")
    attempts: list[Attempt] = Field([])

    @classmethod
    def with_attempts(
        cls,
        row: tables.Job,
        attempts: list[tables.Attempt],
        settings: Settings,
        queues: Mapping[str, QueueWorkers],
    ) -> Self:
        """The job in a row and its attempts; `queues`: the live workers of each queue."""
        return cls.from_row(
            row,
            **_derived(row, settings, queues),
            spec=jobs.completed_spec(row),
            attempts=[Attempt.from_row(attempt) for attempt in attempts],
        )


def _waits_for(row: tables.Job, queues: Mapping[str, QueueWorkers]) -> str | None:
    """What a queued job needs that no live worker offers now; None if a free worker is enough."""
    if row.status is not JobStatus.QUEUED:
        return None
    workers = queues.get(row.queue)
    if workers is None:
        return f"a worker of queue {row.queue}: none is running"
    if row.spec_version > workers.spec_version:
        return (
            f"a worker of a newer release: the spec needs version {row.spec_version}, the workers"
            f" of queue {row.queue} read version {workers.spec_version}"
        )
    if not workers.take_jobs:
        return f"a worker of queue {row.queue} that takes jobs: all are draining or suspended"
    return None


def _derived(
    row: tables.Job, settings: Settings, queues: Mapping[str, QueueWorkers]
) -> dict[str, Any]:
    """The fields of a summary that no column of the row holds as they are."""
    progress, result, run_id = row.progress or {}, row.result or {}, row.mlflow_run_id
    mlflow_experiment_id = row.experiment.mlflow_experiment_id
    return {
        "experiment": row.experiment.name,
        "dataset": f"{row.dataset_version.dataset.name}@{row.dataset_version.version}",
        "device": row.queue,
        "epochs": progress.get("epoch", 0),
        "epochs_total": progress.get("epochs_total") or row.spec.get("epochs"),
        "step": row.progress_step,
        "waits_for": _waits_for(row, queues),
        **{name: progress.get(name) for name in ("steps_total", "rows", "rows_total", "weights")},
        "last_metrics": metrics_in(progress.get("last")) | metrics_in(result.get("metrics")),
        "best_metrics": metrics_in(progress.get("best")),
        "best_epoch": progress.get("best_epoch") or result.get("best_epoch"),
        "best_metric": progress.get("best_metric"),
        "baseline": result.get("baseline") or None,
        "warnings": [text for text in [baseline_warning(result.get("baseline"))] if text],
        **{name: result.get(name) for name in ("weights_digest", "predictions_digest", "reason")},
        "mlflow_url": page_url(settings, mlflow_experiment_id, f"/runs/{run_id}")
        if run_id
        else None,
    }
