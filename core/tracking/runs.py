"""A job as a run of MLflow: made once however often it is asked for, ended with a true status."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.status import JobStatus, SweepStatus
from core.tracking.mlflow import MetricPoint, MlflowServer

JOB_TAG = "chainrule.job_id"
"""The tag by which a run is found again; it makes creation repeatable."""

SWEEP_TAG = "chainrule.sweep_id"
"""The same for the run of a sweep."""

PARENT_TAG = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another one."""

_STATUSES: Mapping[str, str] = {
    JobStatus.QUEUED: "SCHEDULED",
    JobStatus.PAUSED: "SCHEDULED",
    JobStatus.RUNNING: "RUNNING",
    JobStatus.FINISHED: "FINISHED",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELLED: "KILLED",
    JobStatus.PRUNED: "KILLED",
}
_MOST_DIGEST = 36
_MOST_TAG = 5000


@dataclass(frozen=True)
class DatasetInput:
    """The dataset version a run reads, and what for; `digest` is shortened to what MLflow takes."""

    name: str
    version: int
    digest: str
    schema: str
    source: str
    profile: str = ""
    context: str = "training"


@dataclass(frozen=True)
class RunDescription:
    """What MLflow is told of a job when its run begins; of a sweep under another `mark`."""

    job_id: str
    experiment: str
    name: str
    started_at_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: DatasetInput
    mark: str = JOB_TAG


@dataclass(frozen=True)
class Artifact:
    """A file that a run leaves, under `name`."""

    name: str
    content: bytes | Path


@dataclass(frozen=True)
class KnownRun:
    """A run as MLflow knows it."""

    run_id: str
    experiment_id: str
    artifact_uri: str


def mlflow_status(status: JobStatus | SweepStatus) -> str:
    """MLflow's word for the state of a job or sweep."""
    return _STATUSES[status]


def ensure_run(server: MlflowServer, description: RunDescription) -> KnownRun:
    """The run of a job with its hyperparameters, tags and dataset, made if it is missing.

    Repeating it, also after it was cut short, gives the same run. Two at the same moment could
    make two runs: callers take turns. Raises as MlflowServer does.
    """
    experiment_id = server.experiment_id(description.experiment)
    mark = description.mark
    found = server.find_runs([experiment_id], f"tags.`{mark}` = '{description.job_id}'")
    told: set[str] = set()
    if found:
        info = found[0]["info"]
        # What was told stays: a sweep may have been edited since.
        told = {param["key"] for param in found[0]["data"].get("params", [])}
    else:
        info = _created(server, experiment_id, description)
    run_id = str(info["run_id"])
    params = {key: value for key, value in description.params.items() if key not in told}
    server.log_params(run_id, params)
    server.log_input(run_id, _input(description.dataset), description.dataset.context)
    return KnownRun(run_id, experiment_id, str(info["artifact_uri"]))


def tell_whole(
    server: MlflowServer,
    experiment_id: str,
    description: RunDescription,
    status: JobStatus,
    *,
    ended_at_ms: int | None,
    tags: Mapping[str, str],
    points: Sequence[MetricPoint],
    artifacts: Callable[[str], Iterable[Artifact]],
) -> str:
    """Make the run of a job that has ended, with all there is of it; the run's id.

    In as few requests as MLflow allows. Nobody may have made one before: none is looked for.
    `artifacts` gives the files of the run whose id it is told. Raises as MlflowServer does.
    """
    info = _created(server, experiment_id, description, tags)
    run_id = str(info["run_id"])
    server.log_first(run_id, description.params, points)
    server.log_input(run_id, _input(description.dataset), description.dataset.context)
    for artifact in artifacts(run_id):
        server.put_artifact(str(info["artifact_uri"]), artifact.name, artifact.content)
    server.update_run(run_id, mlflow_status(status), ended_at_ms)
    return run_id


def end_run(
    server: MlflowServer,
    run_id: str,
    status: JobStatus | SweepStatus,
    *,
    ended_at_ms: int | None,
    tags: Mapping[str, str],
    artifacts: Iterable[Artifact] = (),
) -> bool:
    """Give a run its artifacts, last tags and status; whether MLflow now agrees about it.

    For states that are no end too. A run that somebody deleted in MLflow stays as it is: that
    counts as agreement. Raises NotFoundError when the run is gone, else as MlflowServer does.
    """
    run = server.get_run(run_id)
    if _deleted(run):
        return True
    for artifact in artifacts:
        server.put_artifact(run["info"]["artifact_uri"], artifact.name, artifact.content)
    server.set_tags(run_id, _fitting(tags))
    wanted = mlflow_status(status)
    info = server.update_run(run_id, wanted, ended_at_ms)
    return str(info.get("status")) == wanted


def is_deleted(server: MlflowServer, run_id: str) -> bool:
    """Whether somebody deleted the run in MLflow. Raises NotFoundError when it is quite gone."""
    return _deleted(server.get_run(run_id))


def _deleted(run: Mapping[str, Any]) -> bool:
    return bool(run["info"].get("lifecycle_stage") == "deleted")


def _created(
    server: MlflowServer,
    experiment_id: str,
    description: RunDescription,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A new run as MLflow describes it, marked with whose it is."""
    own = {**description.tags, **tags, description.mark: description.job_id}
    return server.create_run(
        experiment_id,
        name=description.name,
        started_at_ms=description.started_at_ms,
        tags=_fitting(own),
    )


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that say something, cut to what MLflow takes."""
    return {key: value[:_MOST_TAG] for key, value in tags.items() if value}


def _input(dataset: DatasetInput) -> dict[str, str]:
    return {
        "name": f"{dataset.name}@{dataset.version}",
        "digest": dataset.digest[:_MOST_DIGEST],
        "source_type": "chainrule",
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }
