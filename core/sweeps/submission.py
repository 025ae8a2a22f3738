"""Start a sweep: validate its spec and add one row. Trials start when it is first advanced."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chainrule.contract.status import SweepStatus
from core import jobs
from core.data.table.column_warnings import stored_warnings
from core.data.table.schema import DatasetSchema
from core.db.tables import DatasetVersion, Sweep, Trial
from core.errors import FieldError, InvalidError, UnavailableError
from core.search.study import TrialRecord
from core.spec.admission import check
from core.spec.defaults import filled
from core.spec.job import JobSpec
from core.spec.sweep import SweepSpec
from core.spec.version import encode
from core.sweeps.budget import start_clock
from core.sweeps.trial_outcome import record_of

MOST_WARM_START_TRIALS = 10_000
_INFORMATIVE = ("finished", "pruned")
"""Statuses of earlier trials that tell a sampler something."""


@dataclass(frozen=True)
class QueueLimits:
    """The most jobs that are queued, and the most sweeps that run, while another sweep starts."""

    max_queued_jobs: int
    max_running_sweeps: int

    def check(self, session: Session) -> None:
        """Raise UnavailableError if there are so many."""
        jobs.refuse_flood(session, self.max_queued_jobs)
        running = select(func.count()).where(Sweep.status == SweepStatus.RUNNING)
        if session.execute(running).scalar_one() >= self.max_running_sweeps:
            raise UnavailableError(
                f"{self.max_running_sweeps} sweeps run already; try again when some have ended"
            )


def start(
    session: Session,
    spec: SweepSpec,
    dataset_version: DatasetVersion,
    *,
    owner: str,
    max_weights_bytes: int,
    max_attempts: int = 3,
    limits: QueueLimits | None = None,
) -> Sweep:
    """Add a sweep in state `running`; the caller commits.

    Raises UnavailableError beyond `limits`, and InvalidError with the path of each field of the
    job, end of a range or choice that does not fit the data.
    """
    spec = with_defaults(spec, dataset_version)
    check_new(session, spec, dataset_version, max_weights_bytes)
    if limits is not None:
        limits.check(session)
    sweep = Sweep(
        id=uuid.uuid4().hex,
        owner=owner,
        name=spec.name,
        spec=encode(spec).document,
        dataset_version_id=dataset_version.id,
        n_trials=spec.trials,
        max_parallel=spec.max_parallel,
        max_attempts=spec.job.max_attempts or max_attempts,
        leading=[],
    )
    session.add(sweep)
    start_clock(session, sweep)
    session.flush()
    session.refresh(sweep, ["dataset_version"])
    return sweep


def with_defaults(spec: SweepSpec, version: DatasetVersion) -> SweepSpec:
    """Return a submitted sweep with the defaults of its job that depend on other fields."""
    schema = DatasetSchema.model_validate(version.schema)
    job = filled(spec.job, schema, stored_warnings(version.warnings))
    return spec.model_copy(update={"job": job})


def check_new(
    session: Session, spec: SweepSpec, version: DatasetVersion, max_weights_bytes: int
) -> None:
    """Raise InvalidError with the path of each field that keeps a sweep from starting."""
    _check_baseline(spec)
    check_warm_start(session, spec)
    check_on_data(spec, version, max_weights_bytes)


def _check_baseline(spec: SweepSpec) -> None:
    message = ""
    if len(spec.baseline) > spec.trials:
        message = f"{len(spec.baseline)} points, but only {spec.trials} trials"
    elif spec.sampler.exhaustive and any(spec.baseline):
        message = f"{spec.sampler.kind} visits each point of its space anyway"
    if message:
        raise InvalidError.of(FieldError("baseline", message))


def check_on_data(spec: SweepSpec, version: DatasetVersion, max_weights_bytes: int) -> None:
    """Raise InvalidError with the path of each field that does not fit the dataset version."""
    fit = partial(
        check,
        schema=DatasetSchema.model_validate(version.schema),
        max_weights_bytes=max_weights_bytes,
        warnings=stored_warnings(version.warnings),
    )
    errors = _misfits(spec, {}, "job.", fit)
    if not errors:
        for path, value, point in spec.probes():
            for error in _misfits(spec, point, "", fit):
                message = f"{value!r} does not fit: {error.path}: {error.message}"
                errors.append(FieldError(f"search_space.{path}", message))
    _raise_any(errors)


def _misfits(
    spec: SweepSpec,
    point: dict[str, object],
    prefix: str,
    fit: Callable[[JobSpec], None],
) -> list[FieldError]:
    """Return what `fit` refuses of the job at `point`; `prefix` comes before each path."""
    try:
        fit(spec.jobs(spec.at(point))[0])
    except InvalidError as invalid:
        return [
            FieldError(_sweep_path(spec, prefix, error.path), error.message)
            for error in invalid.errors
        ]
    except ValidationError as error:
        return [FieldError(prefix, str(error))]
    return []


def _sweep_path(spec: SweepSpec, prefix: str, path: str) -> str:
    """Return the path in the SweepSpec that a field of the job comes from."""
    validation = spec.cross_validation
    if path.startswith("data.split.fold"):
        return "cross_validation.folds"
    grouped = validation is not None and validation.group_by is not None
    if path == "data.split.group_by" and grouped:
        return "cross_validation.group_by"
    return prefix + path


def warm_start_trials(session: Session, sweep: Sweep, spec: SweepSpec) -> list[TrialRecord]:
    """Return the trials of earlier sweeps that had ended before `sweep` started, in order.

    Later ones are never added, so that what the sampler knew at each moment can be reproduced.
    """
    records = []
    for earlier in spec.warm_start:
        rows = (
            select(Trial)
            .where(
                Trial.sweep_id == earlier,
                Trial.status.in_(_INFORMATIVE),
                Trial.told_at <= sweep.created_at,
            )
            .order_by(Trial.number)
        )
        records += [record_of(row) for row in session.scalars(rows) if row.objectives is not None]
    # Attributes are left out: they belong to another sampler and pruner.
    return [
        TrialRecord(number, record.values, record.outcome, record.objectives)
        for number, record in enumerate(records)
    ]


def check_warm_start(session: Session, spec: SweepSpec) -> None:
    """Raise InvalidError with the path of each sweep that cannot serve as a warm start."""
    _raise_any([*_warm_start_errors(session, spec)])


def _warm_start_errors(session: Session, spec: SweepSpec) -> Iterator[FieldError]:
    if spec.warm_start and not spec.sampler.warm_starts:
        kind = spec.sampler.kind
        message = f"{kind} learns nothing from trials that it did not choose; tpe does"
        yield FieldError("warm_start", message)
        return
    total = 0
    for index, sweep_id in enumerate(spec.warm_start):
        earlier = session.get(Sweep, sweep_id)
        if earlier is None:
            yield FieldError(f"warm_start[{index}]", f"there is no sweep {sweep_id}")
            continue
        objective = earlier.spec["objective"]
        if objective != spec.model_dump(mode="json")["objective"]:
            yield FieldError(f"warm_start[{index}]", f"it has another objective: {objective}")
        known = (Trial.sweep_id == sweep_id, Trial.status.in_(_INFORMATIVE))
        total += session.execute(select(func.count()).where(*known)).scalar_one()
    if total > MOST_WARM_START_TRIALS:
        message = f"{total:,} trials; {MOST_WARM_START_TRIALS:,} at most"
        yield FieldError("warm_start", message)


def _raise_any(errors: list[FieldError]) -> None:
    """Raise one InvalidError for all errors, if there are any."""
    if errors:
        raise InvalidError.of(*errors)
