"""Jobs and sweeps as runs of MLflow: created once, however often that is tried, and ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chainrule.contract.status import JobStatus, SweepStatus
from core.errors import NotFoundError
from core.tracking.logged_models import ModelDescription, ModelUpload
from core.tracking.mlflow import MetricPoint, MlflowServer

JOB_TAG = "chainrule.job_id"
"""The tag with the id of a run's job: a run is found by it, so that it is created once."""

SWEEP_TAG = "chainrule.sweep_id"
"""The tag with the id of a run's sweep."""

PARENT_TAG = "mlflow.parentRunId"
"""The tag with the id of a run's parent run."""

_STATUSES: Mapping[str, str] = {
    JobStatus.QUEUED: "SCHEDULED",
    JobStatus.PAUSED: "SCHEDULED",
    JobStatus.RUNNING: "RUNNING",
    JobStatus.FINISHED: "FINISHED",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELLED: "KILLED",
    JobStatus.PRUNED: "KILLED",
}
_MAX_DIGEST = 36
_MAX_TAG = 5000


@dataclass(frozen=True)
class DatasetInput:
    """The dataset version that a run reads, and for what purpose."""

    name: str
    version: int
    digest: str
    schema: str
    source: str
    profile: str = ""
    context: str = "training"


@dataclass(frozen=True)
class RunDescription:
    """What a run is created with; `tag` names the tag that holds `subject_id`.

    `metric` compares the runs of the experiment on MLflow's charts, if it is new. `model` describes
    the logged model, if the run leaves one.

    `first_name` is the name of the run before its subject ended, if `name` is another one.
    """

    subject_id: str
    experiment: str
    name: str
    started_at_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: DatasetInput
    tag: str = JOB_TAG
    first_name: str = ""
    metric: str = ""
    model: ModelDescription | None = None


@dataclass(frozen=True)
class Artifact:
    """A file of a run; `name` is its path among the artifacts, `content` its bytes or a file.

    `model_path` is its path in the run's logged model, empty if it is no part of that.
    """

    name: str
    content: bytes | Path
    model_path: str = ""


@dataclass(frozen=True)
class Run:
    """A run that MLflow has."""

    run_id: str
    experiment_id: str
    artifact_uri: str


def mlflow_status(status: JobStatus | SweepStatus) -> str:
    """MLflow's name for the status of a job or sweep."""
    return _STATUSES[status]


def ensure_run(server: MlflowServer, description: RunDescription) -> Run:
    """The run of a job or sweep with its hyperparameters, tags and dataset, created if missing.

    Repeated calls, also after an interruption, give the same run. Concurrent calls could create two
    runs: callers hold a lock. Raises as MlflowServer does.
    """
    experiment_id = server.experiment_id(description.experiment, description.metric)
    tag = f"tags.`{description.tag}` = '{description.subject_id}'"
    runs = server.find_runs([experiment_id], tag)
    logged: set[str] = set()
    if runs:
        info = runs[0]["info"]
        # MLflow lets no value change, and a sweep may have been edited since.
        logged = {param["key"] for param in runs[0]["data"].get("params", [])}
    else:
        info = _created(server, experiment_id, description)
    run_id = str(info["run_id"])
    params = {key: value for key, value in description.params.items() if key not in logged}
    server.log_params(run_id, params)
    server.log_input(run_id, _input(description.dataset), description.dataset.context)
    return Run(run_id, experiment_id, str(info["artifact_uri"]))


def create_ended_run(
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
    """Create the run of a job that has ended, with all of its data; the run's id.

    Takes as few requests as MLflow allows and searches for no earlier run: there must be none.
    `artifacts` returns the files of the run whose id it is given. Raises as MlflowServer does.
    """
    info = _created(server, experiment_id, description, tags)
    run_id = str(info["run_id"])
    server.log_first(run_id, description.params, points)
    server.log_input(run_id, _input(description.dataset), description.dataset.context)
    if upload := _upload(server, info, artifacts(run_id), description.model, searched=False):
        by_key: dict[str, list[MetricPoint]] = {}
        for point in points:
            by_key.setdefault(point.key, []).append(point)
        upload.finish((), lambda key: by_key.get(key, ()))
    server.update_run(run_id, mlflow_status(status), ended_at_ms)
    return run_id


def end_run(
    server: MlflowServer,
    run_id: str,
    status: JobStatus | SweepStatus,
    *,
    ended_at_ms: int | None,
    tags: Mapping[str, str | None],
    artifacts: Iterable[Artifact] = (),
    renamed: tuple[str, str] = ("", ""),
    model: ModelDescription | None = None,
) -> bool:
    """Give a run its artifacts, tags, name and status; whether MLflow shows that status now.

    The status may be one that is not final. A tag whose value is None is deleted. Artifacts with
    a `model_path` also go to the logged model, which `model` describes. A run that has the first
    name of `renamed` gets the second one; a name that somebody changed stays. A run that somebody
    deleted in MLflow is left alone and counts as correct. Raises NotFoundError when MLflow does
    not have the run, else as MlflowServer.
    """
    run = server.get_run(run_id)
    if _deleted(run):
        return True
    if upload := _upload(server, run["info"], artifacts, model):
        shown = run.get("outputs", {}).get("model_outputs", [])
        outputs = [str(output["model_id"]) for output in shown]
        upload.finish(outputs, lambda key: server.points(run_id, key))
    server.set_tags(run_id, _fitting(tags))
    for tag in run["data"].get("tags", []):
        if tags.get(tag["key"], "") is None:
            server.delete_tag(run_id, tag["key"])
    expected = mlflow_status(status)
    first, name = renamed
    if first == name or run["info"].get("run_name") != first:
        name = ""
    info = server.update_run(run_id, expected, ended_at_ms, name)
    return str(info.get("status")) == expected


def delete_runs(
    server: MlflowServer, experiment_ids: Sequence[str], tag: str, row_id: str, run_id: str | None
) -> int:
    """Mark the runs that have the tag of a job or sweep as deleted; how many there were.

    `run_id` is its run, if it is known. Raises as MlflowServer does.
    """
    runs = server.find_runs(experiment_ids, f"tags.`{tag}` = '{row_id}'") if experiment_ids else []
    run_ids = {str(run["info"]["run_id"]) for run in runs}
    if run_id is not None:
        with suppress(NotFoundError):
            run_ids |= set() if is_deleted(server, run_id) else {run_id}
    for each in run_ids:
        server.delete_run(each)
    return len(run_ids)


def is_deleted(server: MlflowServer, run_id: str) -> bool:
    """Whether somebody deleted the run in MLflow. Raises NotFoundError when it was purged."""
    return _deleted(server.get_run(run_id))


def _upload(
    server: MlflowServer,
    info: Mapping[str, Any],
    artifacts: Iterable[Artifact],
    model: ModelDescription | None,
    *,
    searched: bool = True,
) -> ModelUpload | None:
    """Upload the artifacts of a run and of its logged model, which is not yet finished.

    Nothing is logged as a model where MLflow accepts no artifacts.
    """
    upload = ModelUpload(server, info, model, searched=searched) if model else None
    for artifact in artifacts:
        accepted = server.put_artifact(str(info["artifact_uri"]), artifact.name, artifact.content)
        if upload and accepted and artifact.model_path:
            upload.put(artifact.model_path, artifact.content)
    return upload


def _deleted(run: Mapping[str, Any]) -> bool:
    return bool(run["info"].get("lifecycle_stage") == "deleted")


def _created(
    server: MlflowServer,
    experiment_id: str,
    description: RunDescription,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A new run as MLflow describes it, tagged with the id of its job or sweep."""
    own = {**description.tags, **tags, description.tag: description.subject_id}
    return server.create_run(
        experiment_id,
        name=description.name,
        started_at_ms=description.started_at_ms,
        tags=_fitting(own),
    )


def _fitting(tags: Mapping[str, str | None]) -> dict[str, str]:
    """The tags that are not empty, cut to the length that MLflow accepts."""
    return {key: value[:_MAX_TAG] for key, value in tags.items() if value}


def _input(dataset: DatasetInput) -> dict[str, str]:
    return {
        "name": f"{dataset.name}@{dataset.version}",
        "digest": dataset.digest[:_MAX_DIGEST],
        "source_type": "chainrule",
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }
