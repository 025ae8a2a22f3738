"""What breaks around an attempt: memory, the database, the store, checkpoints, frozen processes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs
from core.data.storage.stores import Store
from core.db.session import reading, transaction
from core.errors import UnavailableError
from tests.support import single
from tests.support.databases import PostgresServer
from tests.support.present import present
from tests.support.worker_cases import LONG, Bench, until
from worker.attempt.attempt import Attempt

SHORT_LEASE = 2.0
STEPS: dict[str, Any] = {"epochs": 200, "checkpoint": {"every_steps": 40}}


@pytest.fixture
def calm(bench: Bench) -> str:
    """A job that nothing disturbed."""
    job_id = bench.submit(**STEPS)
    bench.slot.work(job_id)
    return job_id


def equals(bench: Bench, job_id: str, other_id: str) -> None:
    """Both ended with the same network and the same points, bit for bit."""
    job, other = bench.job(job_id), bench.job(other_id)
    assert job.status is other.status is JobStatus.FINISHED
    assert present(job.result)["weights_digest"] == present(other.result)["weights_digest"]
    assert bench.history(job_id) == bench.history(other_id)


def checkpointed(bench: Bench, job_id: str) -> bool:
    return bench.job(job_id).checkpoint_id is not None


def test_too_little_memory_is_tried_twice_and_then_fails(
    make_bench: Callable[..., Bench], sqlite_url: str
) -> None:
    bench = make_bench(sqlite_url, runner_memory_bytes=2 * 2**30)
    network = [{"kind": "dense", "units": 30_000}, {"kind": "dense", "units": 30_000}]
    job_id = bench.submit(network=[*network, {"kind": "dense", "units": 10}])
    small = bench.submit(epochs=1)
    bench.slot.work(job_id)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "out_of_memory"
    assert present(job.cause)["limit_bytes"] == 2 * 2**30
    assert len(bench.attempts(job_id)) == 2
    assert bench.job(small).status is JobStatus.FINISHED


def _is_empty(memory_group: Path) -> bool:
    return not (memory_group / "cgroup.procs").read_text().strip()


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory control group of 300 MB, of whichever version this machine has."""
    for root, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = Path("/sys/fs/cgroup") / root / f"chainrule-test-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / limit).write_text(str(300 * 2**20))
        except OSError:
            continue
        yield folder
        until(partial(_is_empty, folder))
        folder.rmdir()
        return
    pytest.skip("control groups cannot be made here")


@pytest.mark.root
def test_a_runner_killed_for_its_memory_says_so(
    make_bench: Callable[..., Bench], sqlite_url: str, memory_group: Path
) -> None:
    bench = make_bench(sqlite_url)
    network = [{"kind": "dense", "units": 20_000}, {"kind": "dense", "units": 5_000}]
    job_id = bench.submit(network=[*network, {"kind": "dense", "units": 10}])
    (memory_group / "cgroup.procs").write_text(str(bench.equipment.runner().pid))
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).infra_failures)
        with transaction(bench.engine) as session:
            jobs.cancel(session, job_id)
        thread.join(30)
    first = bench.attempts(job_id)[0]
    assert first.status is AttemptStatus.LOST
    assert present(first.cause)["kind"] == "out_of_memory"
    assert present(first.cause)["limit_bytes"] == 300 * 2**20


def test_a_crash_in_native_code_is_named_by_its_signal(bench: Bench) -> None:
    job_id = bench.submit(**LONG, max_attempts=1)
    runner = bench.equipment.runner()
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).progress_step > 0)
        os.kill(runner.pid, signal.SIGSEGV)
        thread.join(30)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["signal"] == "SIGSEGV"


def test_a_job_that_kills_every_runner_is_given_up_as_poison(bench: Bench) -> None:
    job_id = bench.submit(**LONG, max_attempts=2, checkpoint={"every_seconds": 1000})
    with bench.working(job_id) as thread:
        for number in (1, 2):
            until(partial(_trains, bench, job_id, number))
            os.kill(present(bench.equipment.runner_pid), signal.SIGKILL)
        thread.join(30)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "poison"


def _trains(bench: Bench, job_id: str, attempt: int) -> bool:
    job = bench.job(job_id)
    return job.attempt == attempt and job.status is JobStatus.RUNNING and job.progress_step > 0


def test_a_damaged_checkpoint_is_forgotten_and_the_one_before_used(bench: Bench, calm: str) -> None:
    job_id = bench.submit(**STEPS)
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).progress_step > 600 and _checkpoints(bench, job_id) >= 2)
        (folder,) = bench.settings.data_dir.rglob(f"{job_id}-1")
        # All that the runner had saved is kept: nothing newer comes after the one that is damaged.
        until(lambda: _stopped_between_checkpoints(present(bench.equipment.runner_pid), folder))
        assert _checkpoints(bench, job_id) >= 2
        damaged = _damage_newest(bench, job_id)
        os.kill(present(bench.equipment.runner_pid), signal.SIGKILL)
        thread.join(60)
    second = bench.attempts(job_id)[1]
    assert 0 < second.resumed_from_step < damaged
    equals(bench, job_id, calm)


def _stopped_between_checkpoints(pid: int, folder: Path) -> bool:
    """Stop the runner; it goes on when it was about to tell of a file that it had written."""
    os.kill(pid, signal.SIGSTOP)
    give_up_at = time.monotonic() + 3
    while list(folder.glob("checkpoint-*.safetensors")):
        if time.monotonic() > give_up_at:
            os.kill(pid, signal.SIGCONT)
            return False
        time.sleep(0.02)
    return True


def _checkpoints(bench: Bench, job_id: str) -> int:
    with reading(bench.engine) as session:
        return len(jobs.checkpoints(session, job_id))


def _damage_newest(bench: Bench, job_id: str) -> int:
    with reading(bench.engine) as session:
        newest = jobs.checkpoints(session, job_id)[0]
    path = Path(bench.store.url.removeprefix("file://")) / newest.key
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return newest.step


def test_a_store_that_is_away_for_a_while_delays_only_checkpoints_and_model(
    bench: Bench, calm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = type(bench.store).put_file
    refused: list[str] = []

    def refuse(store: Store, source: Path, key: str) -> None:
        if len(refused) < 5:
            refused.append(key)
            raise UnavailableError("away")
        put_file(store, source, key)

    monkeypatch.setattr(type(bench.store), "put_file", refuse)
    job_id = bench.submit(**STEPS)
    bench.slot.work(job_id)
    assert len(refused) == 5
    assert len(bench.attempts(job_id)) == 1
    equals(bench, job_id, calm)


def test_an_outage_shorter_than_the_lease_restarts_nothing(
    make_bench: Callable[..., Bench], postgres: PostgresServer, postgres_url: str
) -> None:
    bench = make_bench(postgres_url, lease_seconds=20.0)
    calm = bench.submit(**STEPS)
    bench.slot.work(calm)
    job_id = bench.submit(**STEPS)
    with bench.working(job_id) as thread:
        until(lambda: bench.job(job_id).progress_step > 0)
        postgres.stop()
        time.sleep(2)
        postgres.start()
        until(lambda: not thread.is_alive())
    assert len(bench.attempts(job_id)) == 1
    equals(bench, job_id, calm)


def test_while_the_database_is_away_for_longer_than_the_lease_training_stands_still_and_goes_on(
    make_bench: Callable[..., Bench], postgres: PostgresServer, postgres_url: str
) -> None:
    bench = make_bench(postgres_url, lease_seconds=SHORT_LEASE)
    # It must not have ended before the lease has.
    steps = {**STEPS, "epochs": 3000, "checkpoint": {"every_steps": 500}}
    patient = make_bench(postgres_url)  # a calm run must not lose so short a lease
    calm = patient.submit(**steps)
    patient.slot.work(calm)
    job_id = bench.submit(**steps)
    with bench.working(job_id) as thread:
        until(lambda: checkpointed(bench, job_id))
        runner = psutil.Process(present(bench.equipment.runner_pid))
        postgres.stop()
        try:
            until(lambda: runner.status() == psutil.STATUS_STOPPED)
            time.sleep(2 * SHORT_LEASE)
            assert runner.status() == psutil.STATUS_STOPPED
        finally:
            postgres.start()
        until(lambda: not thread.is_alive(), seconds=200)
    assert len(bench.attempts(job_id)) == 1
    equals(bench, job_id, calm)


def test_who_was_replaced_while_the_database_was_away_trains_no_more(
    make_bench: Callable[..., Bench], postgres_url: str
) -> None:
    bench = make_bench(postgres_url, lease_seconds=SHORT_LEASE)
    job_id = bench.submit(**{**STEPS, "epochs": 1_000_000})
    with bench.working(job_id):
        until(lambda: checkpointed(bench, job_id))
        runner = psutil.Process(present(bench.equipment.runner_pid))
        with transaction(bench.engine) as session:
            # As long as this is not committed the lease cannot be renewed.
            single.lose(session, job_id, 1, cause={"kind": "test"})
            until(lambda: runner.status() == psutil.STATUS_STOPPED)
        until(lambda: not runner.is_running())
    assert bench.attempts(job_id)[0].status is AttemptStatus.LOST


def test_a_superseded_attempt_stops_and_leaves_no_trace(
    bench: Bench, calm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = type(bench.store).put_file
    replaced = threading.Event()

    def put_models_late(store: Store, source: Path, key: str) -> None:
        # The attempt must not end before it is replaced, however fast it trains.
        if key.startswith("models/"):
            replaced.wait(60)
        put_file(store, source, key)

    monkeypatch.setattr(type(bench.store), "put_file", put_models_late)
    job_id = bench.submit(**STEPS)
    runner = bench.equipment.runner()
    with bench.working(job_id) as thread:
        until(lambda: checkpointed(bench, job_id))
        with transaction(bench.engine) as session:
            single.lose(session, job_id, 1, cause={"kind": "test"})
            claim = jobs.claim(session, job_id, node="other", worker="other", lease_seconds=60)
        replaced.set()
        thread.join(30)
        assert runner.exited() or not runner.busy
    job = bench.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 2)
    assert claim is not None
    with transaction(bench.engine) as session:
        single.release(session, job_id, 2)
    bench.again()
    bench.slot.work(job_id)
    assert len(bench.attempts(job_id)) == 3
    equals(bench, job_id, calm)


def test_a_runner_whose_lease_nobody_extended_in_time_charges_nothing(
    make_bench: Callable[..., Bench], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that stands still for longer than the lease."""
    bench = make_bench(sqlite_url, lease_seconds=SHORT_LEASE)
    monkeypatch.setattr(Attempt, "_extend_lease", lambda *_: None)
    job_id = bench.submit(**LONG, max_attempts=1)
    bench.slot.work(job_id)
    (attempt,) = bench.attempts(job_id)
    assert (attempt.status, attempt.charged) == (AttemptStatus.LOST, False)
    assert "extend its lease" in present(attempt.cause)["message"]
    assert bench.job(job_id).status is JobStatus.QUEUED
