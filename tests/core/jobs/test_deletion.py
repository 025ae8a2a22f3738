"""Deleting ended jobs and sweeps: what they left goes, what others need stays."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from chainrule.contract.status import JobStatus
from core import jobs, models, sweeps
from core.data.storage.stores import Store, open_store
from core.db.session import reading, transaction
from core.db.tables import Base, DeletedRun, Job
from core.errors import ConflictError, NotFoundError
from core.spec.inference import EvaluationSpec
from core.tracking import JOB_TAG, SWEEP_TAG
from tests.support import single, sweep_cases
from tests.support.job_cases import claimed, dataset_version, do, queued

KEPT = {"experiments", "datasets", "dataset_versions"}
"""Tables of what jobs refer to."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.joinpath("store").as_uri())


def finished(engine: Engine, store: Store, **fields: Any) -> str:
    """The id of a job that left something in each table and file."""
    claim = claimed(engine, queued(engine, **fields).id)
    for key in ("model", "checkpoint"):
        store.put_bytes(b"bytes", f"{key}/{claim.job_id}")
    do(
        engine, jobs.record_checkpoint, claim.job_id, claim.attempt, step=1, epoch=0,
        key=f"checkpoint/{claim.job_id}", size_bytes=5, digest="d", best=False,
    )  # fmt: skip
    result = {
        "model_key": f"model/{claim.job_id}",
        "model_digest": "a" * 64,
        "weights_digest": "f" * 64,
        "metrics": {},
        "reason": "epochs",
    }
    do(engine, single.finish, claim.job_id, claim.attempt, JobStatus.FINISHED, result=result)
    return claim.job_id


def rows_left(engine: Engine) -> dict[str, int]:
    """The number of rows of each table that has any."""
    with reading(engine) as session:
        counts = {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }
    return {name: count for name, count in counts.items() if count and name not in KEPT}


def test_a_deleted_job_leaves_nothing(engine: Engine, store: Store) -> None:
    job_id = finished(engine, store)
    do(engine, jobs.delete, store, job_id)
    assert rows_left(engine) == {}
    assert store.keys() == []
    with pytest.raises(NotFoundError):
        do(engine, jobs.delete, store, job_id)


def test_the_run_of_a_deleted_job_is_remembered(engine: Engine, store: Store) -> None:
    job_id = finished(engine, store)
    with transaction(engine) as session:
        jobs.get(session, job_id).mlflow_run_id = "run"
    do(engine, jobs.delete, store, job_id)
    with reading(engine) as session:
        (row,) = jobs.deletable_runs(session)
        assert (row.id, row.tag, row.run_id) == (job_id, JOB_TAG, "run")
    do(engine, jobs.forget_deleted_run, job_id)
    assert rows_left(engine) == {}


def test_a_run_that_a_mirror_may_be_creating_is_deleted_later(engine: Engine, store: Store) -> None:
    job_id = finished(engine, store)
    with transaction(engine) as session:
        assert jobs.reserve_runs(session, [job_id], 30) == [job_id]
    do(engine, jobs.delete, store, job_id)
    with reading(engine) as session:
        assert jobs.deletable_runs(session) == []
        assert session.get_one(DeletedRun, job_id).run_id is None


def test_a_job_that_has_not_ended_is_not_deleted(engine: Engine, store: Store) -> None:
    waiting, running = queued(engine).id, claimed(engine).job_id
    for job_id in (waiting, running):
        with pytest.raises(ConflictError, match="cancel it, then delete it"):
            do(engine, jobs.delete, store, job_id)


def test_a_registered_model_keeps_its_job(engine: Engine, store: Store) -> None:
    job_id = finished(engine, store)
    do(engine, models.register, "digits", job_id, owner="a")
    with pytest.raises(ConflictError, match="registered as a model: digits@1"):
        do(engine, jobs.delete, store, job_id)
    assert store.exists(f"model/{job_id}")


def test_jobs_that_use_a_model_keep_its_job(engine: Engine, store: Store) -> None:
    job_id = finished(engine, store)
    with transaction(engine) as session:
        spec = EvaluationSpec.model_validate({"dataset": "digits@1"})
        trained, version = jobs.get(session, job_id), dataset_version(session)
        user = jobs.infer(session, spec, trained, version, owner="a", model="digits@1").id
    with pytest.raises(ConflictError, match=f"delete them first: {user} \\(evaluate\\)"):
        do(engine, jobs.delete, store, job_id)
    do(engine, jobs.cancel, user)
    do(engine, jobs.delete, store, user)
    do(engine, jobs.delete, store, job_id)
    assert rows_left(engine) == {}


def delete_sweep(engine: Engine, store: Store, sweep_id: str) -> None:
    """Delete a sweep as the API does."""
    while do(engine, sweeps.delete_jobs, store, sweep_id):
        pass
    do(engine, sweeps.delete, sweep_id)


def ended_sweep(engine: Engine, **changes: Any) -> str:
    """The id of a sweep whose trials have finished."""
    sweep_id = sweep_cases.started(engine, n_trials=3, max_parallel=3, **changes)
    for _ in range(20):
        sweeps.advance(engine, sweep_id)
        with reading(engine) as session:
            if sweeps.get(session, sweep_id).status.terminal:
                return sweep_id
            waiting = session.scalars(select(Job.id).where(Job.status == JobStatus.QUEUED)).all()
        for job_id in waiting:
            attempt = claimed(engine, job_id).attempt
            result = {"metrics": {"valid/accuracy": 0.5}, "model_key": f"model/{job_id}"}
            result |= {"model_digest": "a" * 64, "weights_digest": "f" * 64}
            do(engine, single.finish, job_id, attempt, JobStatus.FINISHED, result=result)
    raise AssertionError("the sweep does not end")


@pytest.mark.parametrize("changes", [{}, {"cross_validation": {"folds": 2}}], ids=["jobs", "folds"])
def test_a_deleted_sweep_takes_its_jobs_along(
    engine: Engine, store: Store, changes: dict[str, Any]
) -> None:
    sweep_id = ended_sweep(engine, **changes)
    with transaction(engine) as session:
        sweeps.get(session, sweep_id).mlflow_run_id = "run"
        job_id = session.scalars(select(Job.id)).first()
    with pytest.raises(ConflictError, match=f"of sweep {sweep_id}: delete the sweep"):
        do(engine, jobs.delete, store, job_id)
    delete_sweep(engine, store, sweep_id)
    with transaction(engine) as session:
        assert session.get_one(DeletedRun, sweep_id).tag == SWEEP_TAG
        session.delete(session.get_one(DeletedRun, sweep_id))
    assert rows_left(engine) == {}


def test_statements_that_delete_a_sweep_do_not_grow_with_it(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database limits the parameters of a statement; a sweep may have a million trials."""
    sweep_id = ended_sweep(engine)
    with reading(engine) as session:
        job_ids = session.scalars(select(Job.id)).all()
    monkeypatch.setattr("core.sweeps.deletion.JOBS_AT_ONCE", 1)
    named: list[int] = []

    def count(_: Any, __: Any, ___: Any, parameters: Any, *____: Any) -> None:
        named.append(sum(job_id in repr(parameters) for job_id in job_ids))

    event.listen(engine, "before_cursor_execute", count)
    delete_sweep(engine, store, sweep_id)
    assert max(named) == 1


def test_a_sweep_that_runs_or_has_a_registered_trial_stays(engine: Engine, store: Store) -> None:
    running = sweep_cases.started(engine)
    with pytest.raises(ConflictError, match="cancel it, then delete it"):
        delete_sweep(engine, store, running)
    sweep_id = ended_sweep(engine)
    with reading(engine) as session:
        job_id = next(job.id for _, job in sweeps.trials(session, sweep_id) if job is not None)
    do(engine, models.register, "digits", job_id, owner="a")
    with pytest.raises(ConflictError, match="digits@1"):
        delete_sweep(engine, store, sweep_id)
    with reading(engine) as session:
        assert len(sweeps.trials(session, sweep_id)) == 3
