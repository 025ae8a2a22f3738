"""What MLflow shows of jobs and sweeps in addition to metric points, read from their rows."""

import json
import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from chainrule.contract.metric_names import best_label
from chainrule.contract.status import JobKind, JobStatus, SweepStatus
from core import jobs, models, sweeps
from core.db.tables import DatasetVersion, Job, Source, Sweep
from core.db.types import to_milliseconds
from core.events import baseline_warning
from core.settings import Settings
from core.tracking import (
    JOB_TAG,
    PARENT_TAG,
    SWEEP_TAG,
    DatasetInput,
    ModelDescription,
    RunDescription,
    dataset_profile,
    dataset_schema,
    flatten,
)
from worker.mlflow.run_labels import main_metric, run_name

_MAX_CAUSE = 2000
MAX_TRIALS_WITH_FILES = 100
_CONTEXTS = {JobKind.TRAIN: "training", JobKind.EVALUATE: "evaluation", JobKind.SCORE: "scoring"}
"""What a job uses its dataset version for, in MLflow's words."""
_NOT_JOB_PARAMS = frozenset(
    {"tags", "name", "description", "experiment", "priority", "source", "max_attempts"}
)
_NOT_SWEEP_PARAMS = frozenset({"name", "mlflow"})


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A row as MLflow shows it: `description` when its run is created, `tags` with its status,
    without `removed_tags`.

    `shown` is False for a row that gets no run, `waits` True while its parent run does not exist,
    `complete` False while its status must not be sent yet.
    """

    row_id: str
    status: JobStatus | SweepStatus
    mirrored_status: str | None
    run_id: str | None
    description: RunDescription
    ended_at_ms: int | None
    tags: dict[str, str]
    removed_tags: tuple[str, ...] = ()
    shown: bool = True
    waits: bool = False
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class JobSubject(Subject):
    """A job as MLflow shows it, with what its artifacts are made from."""

    status: JobStatus
    spec: dict[str, object]
    model_key: str | None
    schema: dict[str, object]
    leaves_files: bool
    """False for a trial among many, unless its model is registered: the store has the others."""
    edits: int
    """The changes of its tags and note that are shown."""
    copies_source: bool
    """Whether MLflow gets the source code of the job, which cannot be erased there."""


def describe_job(session: Session, job: Job, settings: Settings) -> JobSubject:
    """A job as MLflow shows it now."""
    placement = jobs.run_placement(session, job)
    spec = jobs.completed_spec(job)
    source = _source_tags(jobs.source_of(session, job)) if job.mlflow_run_id is None else {}
    version = job.dataset_version
    first_name, name = _names(job, spec)
    note = _job_note(job, settings)
    description = RunDescription(
        subject_id=job.id,
        experiment=job.experiment.name,
        name=name,
        first_name=first_name,
        metric=main_metric(spec),
        started_at_ms=to_milliseconds(job.started_at or job.created_at),
        params=_params(job),
        tags={
            **source,
            **job.tags,
            "mlflow.user": job.owner,
            "mlflow.note.content": note,
            "chainrule.dataset_digest": version.digest,
            "chainrule.kind": job.kind.value,
            "chainrule.model_job_id": job.model_job_id or "",
            PARENT_TAG: placement.parent or "",
        },
        dataset=_dataset_input(version, job.kind),
        model=_model(job, first_name),
    )
    shown_again = {"mlflow.note.content": note, PARENT_TAG: placement.parent or ""}
    return JobSubject(
        row_id=job.id,
        status=job.status,
        mirrored_status=job.mirrored_status,
        run_id=job.mlflow_run_id,
        description=description,
        ended_at_ms=to_milliseconds(job.finished_at) if job.finished_at else None,
        tags={**job.tags, **_status_tags(job), **shown_again},
        removed_tags=tuple(job.removed_tags or ()),
        edits=job.edits,
        shown=placement.shown,
        waits=placement.waits,
        spec=spec,
        model_key=(job.result or {}).get("model_key"),
        schema=version.schema,
        copies_source=settings.mlflow_source,
        leaves_files=placement.siblings <= MAX_TRIALS_WITH_FILES
        or models.is_registered(session, job.id),
    )


def _model(job: Job, name: str) -> ModelDescription | None:
    """The logged model of a job that trained one."""
    result = job.result or {}
    if job.kind is not JobKind.TRAIN or job.status is not JobStatus.FINISHED:
        return None
    return ModelDescription(
        name,
        params=_params(job),
        tags={
            JOB_TAG: job.id,
            "mlflow.user": job.owner,
            "chainrule.dataset": _reference(job.dataset_version),
            "chainrule.weights_digest": str(result.get("weights_digest", "")),
        },
        metrics={
            key: value
            for key, value in (result.get("metrics") or {}).items()
            if isinstance(value, int | float)
        },
    )


def _params(job: Job) -> dict[str, str]:
    """The hyperparameters of a job by path."""
    return flatten({k: v for k, v in job.spec.items() if k not in _NOT_JOB_PARAMS})


def _names(job: Job, spec: dict[str, object]) -> tuple[str, str]:
    """The name of a job's run before the end, and the name that it should have now."""
    if job.name:
        return job.name, job.name
    reference = _reference(job.dataset_version)
    first_name = run_name(spec, reference, None)
    if not job.status.terminal:
        return first_name, first_name
    return first_name, run_name(spec, reference, job.progress)


def _reference(version: DatasetVersion) -> str:
    return f"{version.dataset.name}@{version.version}"


def _status_tags(job: Job) -> dict[str, str]:
    """The tags that change with the status of a job."""
    result, progress = job.result or {}, job.progress or {}
    return {
        "chainrule.status": job.status.value,
        "chainrule.node": job.node or "",
        "chainrule.attempts": str(job.attempt),
        "chainrule.weights_digest": str(result.get("weights_digest", "")),
        "chainrule.predictions_digest": str(result.get("predictions_digest", "")),
        "chainrule.reason": str(result.get("reason", "")),
        "chainrule.temperature": str(result.get("temperature", "")),
        "chainrule.best_epoch": str(progress.get("best_epoch") or ""),
        "chainrule.best_metric": str(progress.get("best_metric") or ""),
        "chainrule.warning": baseline_warning(result.get("baseline")) or "",
        "chainrule.cause": json.dumps(job.cause) if job.cause else "",
    }


def describe_sweep(session: Session, sweep: Sweep, settings: Settings) -> Subject:
    """A sweep as MLflow shows it now; its end is shown once each of its trials has ended."""
    return Subject(
        row_id=sweep.id,
        status=sweep.status,
        mirrored_status=sweep.mirrored_status,
        run_id=sweep.mlflow_run_id,
        description=_sweep_description(sweep, settings),
        ended_at_ms=to_milliseconds(sweep.finished_at) if sweep.finished_at else None,
        tags={"chainrule.status": sweep.status.value},
        complete=not sweep.status.terminal or sweeps.complete(session, sweep),
    )


def _sweep_description(sweep: Sweep, settings: Settings) -> RunDescription:
    job = sweep.spec["job"]
    note = [str(job.get("description") or ""), _link("sweep", sweep.id, settings)]
    params = flatten({k: v for k, v in sweep.spec.items() if k not in _NOT_SWEEP_PARAMS})
    return RunDescription(
        subject_id=sweep.id,
        experiment=job["experiment"],
        name=sweep.name,
        started_at_ms=to_milliseconds(sweep.created_at),
        params={_param_name(path): value for path, value in params.items()},
        tags={
            **job.get("tags", {}),
            "mlflow.user": sweep.owner,
            "mlflow.note.content": _paragraphs(note),
            "chainrule.dataset_digest": sweep.dataset_version.digest,
        },
        dataset=_dataset_input(sweep.dataset_version, JobKind.TRAIN),
        tag=SWEEP_TAG,
        metric=sweeps.spec_of(sweep).objectives[0].metric,
    )


def _job_note(job: Job, settings: Settings) -> str:
    """The text at the top of a run's page: description, note, cause, best epoch, warning, link."""
    parts = [str(job.spec.get("description") or ""), job.note or ""]
    if job.cause and job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        cause = str(job.cause.get("message") or job.cause.get("kind") or "")
        parts.append(f"**{job.status.value}:** {cause[:_MAX_CAUSE]}")
    progress = job.progress or {}
    if best := best_label(progress.get("best_epoch"), progress.get("best_metric")):
        parts.append(f"**best:** {best}")
    if warning := baseline_warning((job.result or {}).get("baseline")):
        parts.append(f"**warning:** {warning}")
    return _paragraphs([*parts, _link("job", job.id, settings)])


def _link(kind: str, row_id: str, settings: Settings) -> str:
    """A link to a job or sweep in Markdown; empty without a public URL."""
    if not settings.public_url:
        return ""
    return f"[{kind} {row_id[:8]}]({settings.public_url.rstrip('/')}/v1/{kind}s/{row_id})"


def _paragraphs(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _param_name(path: str) -> str:
    """A name that MLflow accepts: `network[0].units` as `network.0.units`, as jobs have it."""
    return re.sub(r"[^\w\-. :/]", "_", re.sub(r"\[(\d+)\]", r".\1", path), flags=re.ASCII)


def _dataset_input(version: DatasetVersion, kind: JobKind) -> DatasetInput:
    """A dataset version as the input of a job of this kind."""
    return DatasetInput(
        version.dataset.name,
        version.version,
        version.digest,
        dataset_schema(version.schema),
        _reference(version),
        dataset_profile(version.schema),
        _CONTEXTS[kind],
    )


def _source_tags(source: Source | None) -> dict[str, str]:
    """The tags that MLflow's pages show as the source of a run."""
    if source is None or source.erased_at is not None:
        return {}
    return {
        "mlflow.source.name": source.command or source.repository,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.repoURL": source.repository,
        "mlflow.source.git.commit": source.commit,
        "mlflow.source.git.branch": source.branch,
        "chainrule.source": source.digest,
        "chainrule.source_dirty": "true" if source.dirty else "false",
    }
