"""Files of ended jobs go when they are of no use; what a row names and somebody may use, stays."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from chainrule.contract.status import JobKind, JobStatus
from core import jobs, models
from core.db.session import reading, transaction
from core.db.tables import Checkpoint, Job
from core.retention import Storage, files
from tests.core.retention.cases import DAY, applied, left
from tests.support import single
from tests.support.clocks import StandingClock
from tests.support.job_cases import claimed, do, queued


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BATCH_FILES", 2)


def keys(storage: Storage, folder: str) -> set[str]:
    return {file.key for file in storage.store.files(folder)}


def owners(storage: Storage, folder: str) -> set[str]:
    return {key.split("/")[1] for key in keys(storage, folder)}


def test_checkpoints_of_old_jobs_go(storage: Storage, clock: StandingClock) -> None:
    old = [left(storage), left(storage, JobStatus.CANCELLED), left(storage, JobStatus.FAILED)]
    clock.advance(2 * DAY)
    newer = left(storage)
    freed = applied(storage, files.checkpoints(1))
    assert freed.files == 3
    assert freed.bytes == 15
    assert owners(storage, "checkpoints") == {newer}
    with reading(storage.engine) as session:
        rows = session.scalars(select(Checkpoint)).all()
        assert {row.job_id for row in rows if row.erased_at is None} == {newer}
        assert {row.job_id for row in rows} == {*old, newer}
        assert set(session.scalars(select(Job.id).where(Job.checkpoint_id.is_not(None)))) == {newer}
    assert owners(storage, "models") == {old[0], newer}


def test_checkpoints_of_a_job_that_still_runs_stay(storage: Storage, clock: StandingClock) -> None:
    claim = claimed(storage.engine)
    key = f"checkpoints/{claim.job_id}/1/1-{'0' * 64}"
    storage.store.put_bytes(b"bytes", key)
    row = {"step": 1, "epoch": 1, "key": key, "size_bytes": 5, "digest": "0" * 64}
    do(storage.engine, jobs.record_checkpoint, claim.job_id, claim.attempt, **row)
    storage.store.put_bytes(b"bytes", f"checkpoints/{claim.job_id}/1/2-left")
    clock.advance(100 * DAY)
    assert not applied(storage, files.checkpoints(1))
    assert not applied(storage, files.orphans(1))
    assert len(keys(storage, "checkpoints")) == 2


def test_models_go_that_are_neither_registered_nor_used(
    storage: Storage, clock: StandingClock
) -> None:
    nameless, named = left(storage), left(storage)
    _register(storage, named)
    clock.advance(2 * DAY)
    assert not applied(replace(storage, mirrored_only=True), files.models(1))
    freed = applied(storage, files.models(1))
    assert [item.job_id for item in freed.items] == [nameless]
    assert owners(storage, "models") == {named}


def _register(storage: Storage, job_id: str) -> None:
    """Register the model of a job."""
    do(storage.engine, models.register, "digits", job_id, owner="local")


def test_a_model_that_is_registered_meanwhile_stays(storage: Storage, clock: StandingClock) -> None:
    job_id = left(storage)
    clock.advance(2 * DAY)
    policy = files.ModelPolicy("models", 1, "model", ["models"])
    (batch,) = [old for old in policy._batches(storage) if old]
    _register(storage, job_id)
    assert not policy._delete(storage, batch)
    assert owners(storage, "models") == {job_id}


def test_predictions_go(storage: Storage, clock: StandingClock) -> None:
    model, job_id = left(storage), queued(storage.engine).id
    with transaction(storage.engine) as session:
        scoring = {"kind": JobKind.SCORE, "model_job_id": model}
        session.execute(update(Job).where(Job.id == job_id).values(**scoring))
    claimed(storage.engine, job_id)
    key = f"predictions/{job_id}/1/rows.csv"
    storage.store.put_bytes(b"bytes", key)
    result = {"predictions_key": key}
    do(storage.engine, single.finish, job_id, 1, JobStatus.FINISHED, result=result)
    clock.advance(2 * DAY)
    assert not applied(storage, files.orphans(1)), "the job names it"
    assert [item.key for item in applied(storage, files.predictions(1)).items] == [key]
    assert owners(storage, "models") == {model}


def test_files_go_that_no_row_names(storage: Storage, clock: StandingClock) -> None:
    """As a worker leaves them that was killed between the upload and the row."""
    old = left(storage)
    kept = keys(storage, "models") | keys(storage, "checkpoints")
    stray = {f"models/{old}/2/model.safetensors", f"checkpoints/{old}/2/1-left",
             f"predictions/{old}/1/left.csv"}  # fmt: skip
    unknown = {f"models/{'0' * 32}/1/model.safetensors", "models/left"}
    for key in stray | unknown:
        storage.store.put_bytes(b"bytes", key)
    clock.advance(1 * DAY)
    newer = left(storage)
    storage.store.put_bytes(b"bytes", f"models/{newer}/2/model.safetensors")
    clock.advance(1.5 * DAY)
    freed = applied(storage, files.orphans(2))
    assert {item.key for item in freed.items} == stray
    assert freed.bytes == 15
    assert keys(storage, "models") | keys(storage, "checkpoints") >= kept | unknown
    assert keys(storage, "predictions") == set()


def test_a_checkpoint_whose_row_is_erased_is_no_longer_named(
    storage: Storage, clock: StandingClock
) -> None:
    """As a scheduler leaves it that was killed between the row and the file."""
    job_id = left(storage)
    with transaction(storage.engine) as session:
        session.execute(update(Checkpoint).values(erased_at=Checkpoint.created_at))
    clock.advance(2 * DAY)
    assert [item.job_id for item in applied(storage, files.orphans(1)).items] == [job_id]


def test_writes_go_that_were_begun_long_ago(
    storage: Storage, clock: StandingClock, tmp_path: Path
) -> None:
    """As a process leaves them that was killed while it wrote."""
    job_id = left(storage)
    folder = tmp_path / "store" / "models" / job_id / "1"
    for name, days in ((f".old.{'0' * 32}", 3.5), (f".new.{'0' * 32}", 2), (".old", 9)):
        (folder / name).write_bytes(b"partial")
        os.utime(folder / name, (time.time() - days * DAY,) * 2)
    clock.advance(9 * DAY)
    freed = applied(storage, files.orphans(3))
    assert (freed.files, freed.bytes) == (1, 7)
    assert sorted(path.name for path in folder.iterdir()) == [
        f".new.{'0' * 32}", ".old", "model.safetensors",
    ]  # fmt: skip
    os.utime(folder / f".new.{'0' * 32}", (time.time() - DAY / 2,) * 2)
    assert not applied(storage, files.orphans(0)), "it may still be written"


def test_no_empty_folders_are_left(storage: Storage, clock: StandingClock, tmp_path: Path) -> None:
    left(storage)
    clock.advance(2 * DAY)
    applied(storage, files.checkpoints(1))
    applied(storage, files.models(1))
    assert sorted(path.name for path in (tmp_path / "store").rglob("*")) == [
        "checkpoints",
        "models",
    ]
