"""Start a sweep: one row; its trials begin when it is first advanced."""

import uuid

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.data.table.schema import DatasetSchema
from core.db import idempotency
from core.db.tables import DatasetVersion, Sweep
from core.errors import FieldError, InvalidError
from core.spec.admission import check
from core.spec.sweep import SweepSpec
from core.sweeps.budget import start_clock
from core.sweeps.queries import get
from core.sweeps.warm_start import check_warm_start


def start(
    session: Session,
    spec: SweepSpec,
    dataset_version: DatasetVersion,
    *,
    owner: str,
    max_weights_bytes: int,
    max_attempts: int = 3,
    idempotency_key: str | None = None,
    request_hash: str = "",
) -> Sweep:
    """Begin a search; the caller commits.

    Raises InvalidError with the path of what cannot work on the data: a field of the job, or an
    end or choice of the search space. An `idempotency_key` works as that of a job does.
    """
    check_new(session, spec, dataset_version, max_weights_bytes)
    sweep_id = uuid.uuid4().hex
    if idempotency_key is not None:
        earlier = idempotency.reserve(
            session, owner, idempotency_key, request_hash=request_hash, resource_id=sweep_id
        )
        if earlier is not None:
            return get(session, earlier)
    sweep = Sweep(
        id=sweep_id,
        owner=owner,
        name=spec.name,
        spec=spec.model_dump(mode="json"),
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


def started(
    session: Session, *, owner: str, idempotency_key: str, request_hash: str
) -> Sweep | None:
    """The sweep that this key began before, or None. Raises InvalidError for another request."""
    earlier = idempotency.find(session, owner, idempotency_key, request_hash=request_hash)
    return None if earlier is None else get(session, earlier)


def check_new(
    session: Session, spec: SweepSpec, version: DatasetVersion, max_weights_bytes: int
) -> None:
    """Raise InvalidError with the path of what keeps a sweep from beginning."""
    _check_baseline(spec)
    check_warm_start(session, spec)
    check_on_data(spec, version, max_weights_bytes)


def _check_baseline(spec: SweepSpec) -> None:
    message = ""
    if len(spec.baseline) > spec.trials:
        message = f"{len(spec.baseline)} points, but only {spec.trials} trials"
    elif spec.sampler.counted and any(spec.baseline):
        message = f"{spec.sampler.kind} visits each point of its space anyway"
    if message:
        raise InvalidError(f"baseline: {message}", [FieldError("baseline", message)])


def check_on_data(spec: SweepSpec, version: DatasetVersion, max_weights_bytes: int) -> None:
    """Raise InvalidError with the path of what cannot work on this version of the data."""
    schema = DatasetSchema.model_validate(version.schema)
    errors = _misfits(spec, {}, "job.", schema, max_weights_bytes)
    if not errors:
        for path, dimension in spec.search_space.items():
            for value in dimension.ends():
                for error in _misfits(spec, {path: value}, "", schema, max_weights_bytes):
                    message = f"{value!r} does not fit: {error.path}: {error.message}"
                    errors.append(FieldError(f"search_space.{path}", message))
    if errors:
        raise InvalidError("; ".join(f"{e.path}: {e.message}" for e in errors), errors)


def _misfits(
    spec: SweepSpec, point: dict[str, object], prefix: str, schema: DatasetSchema, most: int
) -> list[FieldError]:
    try:
        check(spec.jobs(spec.at(point))[0], schema, most)
    except InvalidError as error:
        return [FieldError(_place(spec, prefix, one.path), one.message) for one in error.errors]
    except ValidationError as error:
        return [FieldError(prefix, str(error))]
    return []


def _place(spec: SweepSpec, prefix: str, path: str) -> str:
    """Where in the SweepSpec a field of a job comes from."""
    wanted = spec.cross_validation
    if path.startswith("data.split.fold"):
        return "cross_validation.folds"
    if path == "data.split.group_by" and wanted is not None and wanted.group_by is not None:
        return "cross_validation.group_by"
    return prefix + path
