"""From rows to read schemas."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.resources import schemas
from core.datasets.queries import DatasetSummary
from core.db import tables
from core.db.types import from_milliseconds
from core.jobs import Point
from core.nodes import NodeState
from core.search.plots import kinds
from core.settings import Settings
from core.status import JobStatus
from core.sweeps import Spent, standing


def experiment(row: tables.Experiment, settings: Settings) -> schemas.Experiment:
    """An experiment as the api shows it."""
    return schemas.Experiment(
        name=row.name,
        created_at=row.created_at,
        mlflow_experiment_id=row.mlflow_experiment_id,
        mlflow_url=_mlflow(settings, row.mlflow_experiment_id),
    )


def dataset(found: DatasetSummary) -> schemas.Dataset:
    """A dataset as the api shows it."""
    return schemas.Dataset(
        name=found.dataset.name,
        description=found.dataset.description,
        tags=found.dataset.tags,
        owner=found.dataset.owner,
        latest_version=found.latest.version if found.latest else None,
        rows=found.latest.rows if found.latest else None,
        bytes=found.latest.bytes if found.latest else None,
        aliases=found.aliases,
        created_at=found.dataset.created_at,
    )


def dataset_version(row: tables.DatasetVersion) -> schemas.DatasetVersion:
    """A dataset version as the api shows it."""
    return schemas.DatasetVersion(
        name=row.dataset.name,
        version=row.version,
        digest=row.digest,
        rows=row.rows,
        bytes=row.bytes,
        format=row.format,
        columns=row.schema["columns"],
        made_from=row.made_from,
        created_at=row.created_at,
        erase_requested_at=row.erase_requested_at,
        erase_cause=row.erase_cause,
        erased_at=row.erased_at,
    )


def job(
    row: tables.Job,
    attempts: list[tables.Attempt],
    settings: Settings,
    *,
    known: Mapping[str, int] | None = None,
) -> schemas.Job:
    """A job with its spec and attempts; `known`: spec versions that workers of queues read."""
    return schemas.Job(
        **_summary(row, settings),
        spec=row.spec,
        spec_version=row.spec_version,
        waits_for=_newer_worker(row, known or {}),
        attempts=[attempt(one) for one in attempts],
    )


def _newer_worker(row: tables.Job, known: Mapping[str, int]) -> str | None:
    """That a waiting job needs another release than those of the workers of its queue."""
    newest = known.get(row.queue, row.spec_version)
    if row.status is not JobStatus.QUEUED or row.spec_version <= newest:
        return None
    return (
        f"a worker of a newer release: the spec needs version {row.spec_version}, the workers of"
        f" queue {row.queue} read version {newest}"
    )


def job_summary(row: tables.Job, settings: Settings) -> schemas.JobSummary:
    """A job as a list shows it."""
    return schemas.JobSummary(**_summary(row, settings))


def attempt(row: tables.Attempt) -> schemas.Attempt:
    """An attempt as the api shows it."""
    return schemas.Attempt(
        number=row.number,
        node=row.node,
        worker=row.worker,
        status=row.status,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cause=row.cause,
        charged=row.charged,
        exit_code=row.exit_code,
        peak_memory_bytes=row.peak_memory_bytes,
        resumed_from_step=row.resumed_from_step,
        versions=row.versions,
    )


def event(row: tables.JobEvent) -> schemas.JobEvent:
    """A change of a job as the api shows it."""
    return schemas.JobEvent(
        id=row.id,
        at=row.at,
        kind=row.kind,
        status=JobStatus(row.status),
        attempt=row.attempt,
        actor=row.actor,
        reason=row.reason,
    )


def log_line(row: tables.LogLine) -> schemas.LogLine:
    """A line of a job's log as the api shows it."""
    return schemas.LogLine.model_validate(row, from_attributes=True)


def point(one: Point) -> schemas.MetricPoint:
    """A metric point as the api shows it."""
    return schemas.MetricPoint(
        key=one.key,
        step=one.step,
        epoch=one.epoch,
        value=words(one.value),
        at=from_milliseconds(one.at_ms),
    )


def node(state: NodeState) -> schemas.Node:
    """A machine as the api shows it."""
    row = state.node
    return schemas.Node(
        name=row.name,
        host=row.host,
        alive=state.alive,
        slots=state.slots,
        running=state.running,
        queues=state.queues,
        devices=row.devices,
        versions=row.versions,
        created_at=row.created_at,
        heartbeat_at=row.heartbeat_at,
        draining_at=row.draining_at,
        workers=[worker(one) for one in state.workers],
    )


def worker(row: tables.Worker) -> schemas.Worker:
    """A worker process as the api shows it."""
    return schemas.Worker(
        id=row.id,
        pid=row.pid,
        slots=row.slots,
        queues=row.queues,
        spec_version=row.spec_version,
        datasets=row.datasets or [],
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        draining_at=row.draining_at,
        suspended_at=row.suspended_at,
        suspended_for=row.suspended_for,
    )


def trial(
    row: tables.Trial, job: tables.Job | None, folds: Sequence[tables.Job] = ()
) -> schemas.Trial:
    """A trial as the api shows it; with the jobs of its `folds` if it has several."""
    mine = list(folds) or ([] if job is None else [job])
    shown = [_fold(number, one) for number, one in enumerate(folds)]
    progress = (job.progress if job else None) or {}
    return schemas.Trial(
        number=row.number,
        status=standing(one.status for one in mine).value if mine and row.open else row.status,
        job_id=row.job_id,
        folds=shown,
        point=row.point,
        objectives=row.objectives,
        deviations=row.deviations,
        epochs=min((one.epochs for one in shown), default=progress.get("epoch", 0)),
        last_metrics=_numbers(progress.get("last")),
        cause=row.cause,
        created_at=row.created_at,
        ended_at=row.told_at,
    )


def _fold(number: int, job: tables.Job) -> schemas.TrialFold:
    progress = job.progress or {}
    measured = {**(progress.get("last") or {}), **((job.result or {}).get("metrics") or {})}
    return schemas.TrialFold(
        fold=number,
        job_id=job.id,
        status=job.status.value,
        epochs=progress.get("epoch", 0),
        last_metrics=_numbers(measured),
    )


def sweep(
    row: tables.Sweep, counts: dict[str, int], best: list[tables.Trial], spent: Spent
) -> schemas.Sweep:
    """A sweep as the api shows it."""
    version = row.dataset_version
    given = row.spec["objective"]
    pictures = kinds(len(row.spec["search_space"]), len(given) if isinstance(given, list) else 1)
    return schemas.Sweep(
        id=row.id,
        name=row.name,
        status=row.status,
        n_trials=row.n_trials,
        max_parallel=row.max_parallel,
        trials=counts,
        best=[trial(one, None) for one in best],
        dataset=f"{version.dataset.name}@{version.version}",
        owner=row.owner,
        spec=row.spec,
        plots=[f"/v1/sweeps/{row.id}/plots/{kind}" for kind in pictures],
        spent=schemas.Spent(seconds=spent.seconds, epochs=spent.epochs),
        stopped_by=row.stopped_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def words(value: Any) -> Any:
    """`value` with the numbers in it that are not finite as words: JSON cannot write them."""
    if isinstance(value, dict):
        return {key: words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [words(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _summary(row: tables.Job, settings: Settings) -> dict[str, Any]:
    progress, result = row.progress or {}, row.result or {}
    return {
        "id": row.id,
        "kind": row.kind,
        "model_job_id": row.model_job_id,
        "status": row.status,
        "experiment": row.experiment.name,
        "name": row.name,
        "dataset": f"{row.dataset_version.dataset.name}@{row.dataset_version.version}",
        "device": row.queue,
        "priority": row.priority,
        "tags": row.tags,
        "owner": row.owner,
        "retry_of": row.retry_of,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "epochs": progress.get("epoch", 0),
        "epochs_total": progress.get("epochs_total") or row.spec.get("epochs"),
        "step": row.progress_step,
        "steps_total": progress.get("steps_total"),
        "rows": progress.get("rows"),
        "rows_total": progress.get("rows_total"),
        "weights": progress.get("weights"),
        "last_metrics": _numbers(progress.get("last")) | _numbers(result.get("metrics")),
        "best_metrics": _numbers(progress.get("best")),
        "weights_digest": result.get("weights_digest"),
        "predictions_digest": result.get("predictions_digest"),
        "reason": result.get("reason"),
        "cause": row.cause,
        "cancel_requested_at": row.cancel_requested_at,
        "pause_requested_at": row.pause_requested_at,
        "attempt": row.attempt,
        "mlflow_run_id": row.mlflow_run_id,
        "mlflow_url": _mlflow(
            settings, row.experiment.mlflow_experiment_id, f"/runs/{row.mlflow_run_id}"
        )
        if row.mlflow_run_id
        else None,
    }


def _numbers(found: Any) -> dict[str, Any]:
    """The metrics in a stored document; one stray value must not hide the job."""
    items = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in items if _number(value)}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")


def _mlflow(settings: Settings, experiment_id: str | None, page: str = "") -> str | None:
    base = (settings.mlflow_public_url or settings.mlflow_url).rstrip("/")
    return f"{base}/#/experiments/{experiment_id}{page}" if base and experiment_id else None
