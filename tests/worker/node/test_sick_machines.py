"""What a machine, its disk or the store does wrong fails no job; what is truly missing does."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs, nodes
from core.data.storage.local_copy import chunk_key, manifest
from core.db.session import reading
from core.errors import UnavailableError
from tests.support.job_cases import pass_time
from tests.support.present import present
from tests.support.worker_cases import Bench, until
from worker.node.context import Equipment
from worker.node.drain import Drain
from worker.node.heartbeat import Heartbeat
from worker.node.probe import Probe
from worker.slot import Slot

KEY = "k" * 64


class Member:
    """Another worker of the bench's cluster, on a live node of its own."""

    def __init__(self, bench: Bench, folder: Path, node: str) -> None:
        changes = {
            "data_dir": folder,
            "store_url": bench.settings.resolved_store_url,
            "node_name": node,
            "lease_seconds": 60.0,  # a slow machine loses no lease
        }
        settings = bench.settings.model_copy(update=changes)
        self.equipment = Equipment(settings, Drain(), f"{node}-1")
        self.slot = Slot(self.equipment)
        self.heartbeat = Heartbeat(self.equipment)
        self.heartbeat.start()
        until(lambda: node in {state.node.name for state in nodes_of(bench) if state.alive})

    def close(self) -> None:
        self.heartbeat.end()
        self.equipment.close()


def nodes_of(bench: Bench) -> list[nodes.NodeState]:
    with reading(bench.engine) as session:
        return nodes.list_nodes(session)


@pytest.fixture
def member(bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Member]]:
    made: list[Member] = []

    def make(node: str, folder: Path | None = None) -> Member:
        made.append(Member(bench, folder or tmp_path / node, node))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose cache lies on a disk that is full."""
    cache = tmp_path / "sick" / "cache"
    cache.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(cache)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    (cache / "ballast").write_bytes(bytes(2 * 2**20 - 64 * 1024))
    yield cache.parent
    subprocess.run(["umount", "-l", str(cache)], check=True)


def statuses(bench: Bench, job_ids: list[str]) -> set[JobStatus]:
    return {bench.job(job_id).status for job_id in job_ids}


def train_together(bench: Bench, members: list[Member], job_ids: list[str]) -> None:
    """Wake all members for what waits, again and again, until the jobs have ended."""
    stop = threading.Event()

    def work(one: Member) -> None:
        while not stop.is_set():
            with reading(bench.engine) as session:
                due = jobs.due(session, "cpu", 9, again_seconds=0)
            for job_id in due[:1]:
                one.slot.work(job_id)
            Probe(one.equipment).look()
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(one,)) for one in members]
    for thread in threads:
        thread.start()
    try:
        until(lambda: all(status.terminal for status in statuses(bench, job_ids)), seconds=120)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


@pytest.mark.root
def test_a_worker_with_a_full_disk_next_to_a_healthy_one_fails_nothing(
    bench: Bench, member: Callable[..., Member], full_disk: Path
) -> None:
    sick, well = member("sick", full_disk), member("well")
    job_ids = [bench.submit(epochs=1, seed=seed) for seed in range(8)]
    sick.slot.work(job_ids[0])
    until(lambda: any(state.workers[0].suspended_at for state in nodes_of(bench)))
    train_together(bench, [sick, well], job_ids)
    assert statuses(bench, job_ids) == {JobStatus.FINISHED}
    attempts = [attempt for job_id in job_ids for attempt in bench.attempts(job_id)]
    losses = [attempt for attempt in attempts if attempt.status is AttemptStatus.LOST]
    assert losses
    assert {(attempt.node, attempt.charged) for attempt in losses} == {("sick", False)}
    # The breaker: without it every waiting job would have been lost there, many times over.
    assert len(losses) <= 4
    [state] = [state for state in nodes_of(bench) if state.node.name == "sick"]
    assert state.workers[0].suspended_for


@pytest.mark.root
def test_a_worker_whose_disk_was_cleared_comes_back_by_itself(
    bench: Bench, member: Callable[..., Member], full_disk: Path
) -> None:
    sick = member("sick", full_disk)
    job_id = bench.submit(epochs=1)
    sick.slot.work(job_id)
    Probe(sick.equipment).look()
    assert sick.equipment.breaker.open
    (full_disk / "cache" / "ballast").unlink()
    probe = Probe(sick.equipment)
    probe.start()
    try:
        until(lambda: not sick.equipment.breaker.open, seconds=90)
    finally:
        probe.end()
    until(lambda: not any(state.workers[0].suspended_at for state in nodes_of(bench)))
    sick.slot.work(job_id)
    ends = [(one.node, one.status) for one in bench.attempts(job_id)]
    assert ends == [("sick", AttemptStatus.LOST), ("sick", AttemptStatus.FINISHED)]


@pytest.mark.parametrize("stacked", [False, True])
def test_while_the_store_s_folder_is_away_jobs_wait_and_none_fails(
    bench: Bench, tmp_path: Path, stacked: bool
) -> None:
    job_ids = [
        bench.submit(epochs=1, seed=seed, stack_key=KEY if stacked else None) for seed in range(3)
    ]
    folder, probe = Path(bench.store.url.removeprefix("file://")), Probe(bench.equipment)
    folder.rename(tmp_path / "away")
    for _ in range(2):
        bench.slot.work(job_ids[0])
        # The breaker: the others were not even tried.
        lost = [one for job_id in job_ids for one in bench.attempts(job_id)]
        assert len(lost) == (3 if stacked else 1)
        assert {(one.status, one.charged) for one in lost} == {(AttemptStatus.LOST, False)}
        assert {present(one.cause)["kind"] for one in lost} == {"data_unavailable"}
        probe.look()
        assert bench.equipment.breaker.open
        pass_time(bench.engine, 61)
    assert statuses(bench, job_ids) == {JobStatus.QUEUED}
    (tmp_path / "away").rename(folder)
    probe.start()
    try:
        until(lambda: not bench.equipment.breaker.open)
    finally:
        probe.end()
    bench.slot.work(job_ids[0])
    assert statuses(bench, job_ids) == {JobStatus.FINISHED}


def test_a_store_that_does_not_answer_charges_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = bench.submit(epochs=1, max_attempts=1)

    def refuse(*_: Any) -> Any:
        raise UnavailableError("the store does not answer: EndpointConnectionError")

    with monkeypatch.context() as away:
        for name in ("get_bytes", "open", "confirm", "put_bytes"):
            away.setattr(type(bench.store), name, refuse)
        for _ in range(5):
            bench.slot.work(job_id)
            Probe(bench.equipment).look()
            assert bench.equipment.breaker.open
            bench.equipment.breaker.close()  # as if a probe had passed
            pass_time(bench.engine, 61)
    assert len(bench.attempts(job_id)) == 5
    bench.slot.work(job_id)
    assert bench.job(job_id).status is JobStatus.FINISHED
    assert bench.job(job_id).infra_failures == 0


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("stacked", [False, True])
def test_a_chunk_that_is_truly_missing_or_damaged_fails_the_job_by_name(
    bench: Bench, how: str, stacked: bool
) -> None:
    found = manifest(bench.store, bench.version.digest)
    assert found is not None
    key = chunk_key(found.chunks[0].digest)
    if how == "missing":
        bench.store.delete(key)
    else:
        content = bytearray(bench.store.get_bytes(key))
        content[7] ^= 1
        bench.store.put_bytes(bytes(content), key)
    job_ids = [
        bench.submit(epochs=1, seed=seed, stack_key=KEY if stacked else None)
        for seed in range(2 if stacked else 1)
    ]
    bench.slot.work(job_ids[0])
    for job_id in job_ids:
        job = bench.job(job_id)
        assert job.status is JobStatus.FAILED
        assert present(job.cause)["kind"] == f"data_{how}"
        assert "dataset digits@1" in present(job.cause)["message"]
        assert key in present(job.cause)["message"]
    assert not bench.equipment.breaker.open


# The runner's disk


@pytest.fixture
def small_work(tmp_path: Path) -> Iterator[Path]:
    """A folder for data, whose work files lie on a disk of 3 MiB."""
    work = tmp_path / "bench-0" / "data" / "work"
    work.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(work)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield work
    subprocess.run(["umount", "-l", str(work)], check=True)


@pytest.mark.root
def test_a_checkpoint_that_finds_no_space_ends_nothing(small_work: Path, bench: Bench) -> None:
    assert bench.settings.data_dir == small_work.parent
    ballast = small_work / "ballast"
    job_id = bench.submit(
        epochs=100_000, checkpoint={"every_steps": 40}, network=[{"kind": "dense", "units": 64},
        {"kind": "dense", "units": 10}],
    )  # fmt: skip
    with bench.working(job_id):
        until(lambda: bench.job(job_id).checkpoint_id)
        fill(ballast)
        until(lambda: any("was not written" in line for line in bench.log_lines(job_id)))
        last = bench.job(job_id).checkpoint_id
        ballast.unlink()
        # The next one is tried again, and the attempt is still the first.
        until(lambda: bench.job(job_id).checkpoint_id != last)
        assert bench.job(job_id).attempt == 1
    assert bench.equipment.counts._counts.total("checkpoint_failures") > 0


def fill(path: Path) -> None:
    """Take all the space there is on a disk, again and again, until nothing gets in."""
    with path.open("ab", buffering=0) as file:
        for _ in range(10_000):
            try:
                file.write(bytes(4096))
            except OSError:
                return


@pytest.mark.root
def test_a_model_that_finds_no_space_is_the_machine_s_loss(small_work: Path, bench: Bench) -> None:
    job_id = bench.submit(epochs=1, max_attempts=1)
    runner = bench.equipment.runner()
    fill(small_work / "ballast")
    bench.slot.work(job_id)
    (first,) = bench.attempts(job_id)
    assert (first.status, first.charged) == (AttemptStatus.LOST, False)
    assert present(first.cause)["kind"] == "disk_full"
    assert runner.exited() is not None or not runner.fit
    (small_work / "ballast").unlink()
    Probe(bench.equipment).look()
    bench.slot.work(job_id)
    assert bench.job(job_id).status is JobStatus.FINISHED


def test_an_error_of_the_operating_system_in_the_worker_is_the_machine_s(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = bench.submit(epochs=1, max_attempts=1)

    def refuse(*_: object) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(bench.equipment.workspace, "folder", refuse)
        bench.slot.work(job_id)
    (first,) = bench.attempts(job_id)
    assert (first.status, first.charged) == (AttemptStatus.LOST, False)
    assert present(first.cause)["kind"] == "no_file_handles"
    assert bench.equipment.breaker.open
    bench.slot.work(job_id)
    assert len(bench.attempts(job_id)) == 1
    Probe(bench.equipment).look()
    bench.slot.work(job_id)
    assert bench.job(job_id).status is JobStatus.FINISHED


def test_a_job_that_kills_each_runner_is_poison_on_two_nodes(
    bench: Bench, member: Callable[..., Member]
) -> None:
    first, second = member("one"), member("two")
    job_id = bench.submit(epochs=10**6, max_attempts=2, checkpoint={"every_seconds": 1000})
    for number, one in enumerate((first, second), start=1):
        thread = threading.Thread(target=one.slot.work, args=(job_id,))
        thread.start()
        until(partial(trains, bench, job_id, number))
        os.kill(one.equipment.runner_pid or 0, signal.SIGKILL)
        thread.join(60)
        pass_time(bench.engine, 10)
    job = bench.job(job_id)
    assert job.status is JobStatus.FAILED
    assert present(job.cause)["kind"] == "poison"
    assert [one.node for one in bench.attempts(job_id)] == ["one", "two"]


def trains(bench: Bench, job_id: str, attempt: int) -> bool:
    job = bench.job(job_id)
    return job.attempt == attempt and job.status is JobStatus.RUNNING and job.progress_step > 0
