"""A real worker process: Celery, a real broker, real databases."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs, nodes
from core.db.session import reading, transaction
from core.errors import UnavailableError
from core.queue import KEY_PREFIX
from tests.support.present import present
from tests.support.worker_cases import LONG, until
from tests.support.worker_sites import Site


def test_a_message_has_a_job_trained_and_terminating_leaves_nothing(site: Site) -> None:
    worker = site.worker()
    job_id = site.bench.submit(epochs=2)
    site.notify(job_id)
    until(lambda: site.status(job_id).terminal)
    assert site.status(job_id) is JobStatus.FINISHED
    (attempt,) = site.bench.attempts(job_id)
    assert attempt.node == "site"
    assert present(attempt.versions)["numpy"]
    assert worker.family()
    assert worker.stop() == 0
    assert not worker.family()
    assert "superuser" not in worker.output()
    assert not site.workers()
    assert not list((site.bench.settings.data_dir / "work").glob("*/attempts/*-1"))


def test_the_node_and_the_log_say_which_parts_of_the_sandbox_hold(site: Site) -> None:
    worker = site.worker(CHAINRULE_SANDBOX_WITHOUT="network_namespace")
    with reading(site.bench.engine) as session:
        (node,) = nodes.list_nodes(session)
    assert "without network_namespace (switched off)" in node.node.versions["sandbox"]
    assert node.node.versions["sandbox"] in worker.output()
    job_id = site.bench.submit(epochs=1)
    site.notify(job_id)
    until(lambda: site.status(job_id).terminal)
    (attempt,) = site.bench.attempts(job_id)
    assert "sandbox" not in present(attempt.versions)


def test_terminating_gives_the_job_back_uncharged(site: Site) -> None:
    worker = site.worker()
    job_id = site.bench.submit(**LONG)
    site.notify(job_id)
    until(lambda: site.running(job_id))
    assert worker.stop() == 0
    assert not worker.family()
    job = site.bench.job(job_id)
    assert job.status is JobStatus.QUEUED
    assert job.infra_failures == 0
    assert job.checkpoint_id
    assert site.bench.attempts(job_id)[0].status is AttemptStatus.RELEASED


def test_a_killed_main_process_has_its_slots_give_back_and_end(site: Site) -> None:
    worker = site.worker()
    job_id = site.bench.submit(**LONG)
    site.notify(job_id)
    until(lambda: site.running(job_id))
    worker.family()
    worker.signal(signal.SIGKILL)
    until(lambda: not worker.family())
    assert site.bench.attempts(job_id)[0].status is AttemptStatus.RELEASED
    assert site.status(job_id) is JobStatus.QUEUED


def test_a_terminated_process_group_loses_nothing(site: Site) -> None:
    worker = site.worker()
    job_id = site.bench.submit(**LONG)
    site.notify(job_id)
    until(lambda: site.running(job_id))
    worker.family()
    os.killpg(worker.pid, signal.SIGTERM)
    worker.process.wait(60)
    until(lambda: not worker.family())
    assert site.bench.attempts(job_id)[0].status is AttemptStatus.RELEASED


def test_terminating_without_a_broker_ends_all_the_same(site: Site) -> None:
    worker = site.worker()
    site.broker.stop()
    time.sleep(1)
    worker.stop()
    assert not worker.family()


def test_garbage_in_the_queue_harms_nothing(site: Site) -> None:
    site.worker()
    with site.broker.client as client:
        for garbage in (b"no JSON", b"{}", b"[1, 2]", b'{"body": "x", "headers": {}}'):
            client.lpush(f"{KEY_PREFIX}cpu", garbage)
    site.celery.send_task("chainrule.train", args=[{"not": "an id"}], queue="cpu")
    site.celery.send_task("no.such.task", args=[], queue="cpu")
    job_id = site.bench.submit(epochs=1)
    site.notify(job_id)
    until(lambda: site.status(job_id).terminal)


def test_two_slots_train_two_jobs_each_once(site: Site) -> None:
    site.worker(CHAINRULE_SLOTS="2")
    job_ids = [site.bench.submit(epochs=2, seed=seed) for seed in range(4)]
    for job_id in job_ids * 3:
        site.notify(job_id)
    until(lambda: all(site.status(job_id).terminal for job_id in job_ids))
    assert [len(site.bench.attempts(job_id)) for job_id in job_ids] == [1, 1, 1, 1]
    with reading(site.bench.engine) as session:
        assert all(
            len([e for e in jobs.events(session, job_id) if e.kind == "claimed"]) == 1
            for job_id in job_ids
        )


def test_the_scheduler_rings_and_takes_back(site: Site) -> None:
    site.start("worker.scheduler", CHAINRULE_LEASE_SECONDS="2")
    worker = site.worker(CHAINRULE_LEASE_SECONDS="2")
    job_id = site.bench.submit(**LONG)
    until(lambda: site.running(job_id))
    worker.kill()
    until(lambda: site.status(job_id) is not JobStatus.RUNNING)
    (attempt,) = site.bench.attempts(job_id)
    assert attempt.status is AttemptStatus.LOST
    assert present(attempt.cause)["kind"] == "lost_worker"
    site.worker(CHAINRULE_LEASE_SECONDS="2")
    until(lambda: site.running(job_id))


def test_a_worker_without_its_store_stops_claiming_says_so_and_comes_back(site: Site) -> None:
    site.start("worker.scheduler")
    folder = Path(site.bench.store.url.removeprefix("file://"))
    away = folder.with_name("away")
    folder.rename(away)
    site.worker()
    job_ids = [site.bench.submit(epochs=1, seed=seed, max_attempts=1) for seed in range(3)]
    until(lambda: [reason for reason in suspensions(site) if reason])
    # The worker says so before its loss is written.
    until(lambda: {site.status(job_id) for job_id in job_ids} == {JobStatus.QUEUED})
    away.rename(folder)
    until(lambda: all(site.status(job_id).terminal for job_id in job_ids), seconds=90)
    assert {site.status(job_id) for job_id in job_ids} == {JobStatus.FINISHED}
    until(lambda: suspensions(site) == [None])
    attempts = [one for job_id in job_ids for one in site.bench.attempts(job_id)]
    lost = [one for one in attempts if one.status is AttemptStatus.LOST]
    assert lost
    assert not any(one.charged for one in lost)


def suspensions(site: Site) -> list[str | None]:
    """Why each living worker claims no jobs; None: it does."""
    with reading(site.bench.engine) as session:
        return [one.suspended_for for node in nodes.list_nodes(session) for one in node.workers]


def frozen_between_writes(site: Site, pids: list[int]) -> bool:
    """Freeze processes, unless one holds SQLite's only lock: that would freeze everybody."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    with suppress(UnavailableError), transaction(site.bench.engine) as session:
        session.execute(select(1))
        return True
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return False


def test_a_frozen_worker_is_replaced_and_stops_when_it_wakes(site: Site) -> None:
    site.start("worker.scheduler", CHAINRULE_LEASE_SECONDS="4")
    frozen = site.worker(CHAINRULE_LEASE_SECONDS="4", CHAINRULE_NODE_NAME="frozen")
    job_id = site.bench.submit(**LONG)
    until(lambda: site.running(job_id))
    family = frozen.family()
    runner = next(one for one in family if "worker.runner" in one.cmdline())
    pids = [frozen.pid, *(one.pid for one in family if one.pid != runner.pid)]
    until(lambda: frozen_between_writes(site, pids), seconds=200)
    # Nobody tells it that the lease holds: it ends although its parent cannot end it.
    until(lambda: runner not in frozen.family())
    site.worker(CHAINRULE_LEASE_SECONDS="4", CHAINRULE_NODE_NAME="awake")
    until(lambda: site.bench.job(job_id).node == "awake" and site.running(job_id))
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    until(lambda: "this attempt is over" in frozen.output() or "reason=lost" in frozen.output())
    job = site.bench.job(job_id)
    assert (job.status, job.node) == (JobStatus.RUNNING, "awake")
    with transaction(site.bench.engine) as session:
        jobs.cancel(session, job_id)
    until(lambda: site.status(job_id) is JobStatus.CANCELLED)


def test_a_drained_node_gives_its_jobs_to_others(site: Site) -> None:
    site.start("worker.scheduler")
    site.worker(CHAINRULE_NODE_NAME="first")
    job_id = site.bench.submit(**LONG)
    until(lambda: site.running(job_id))
    with transaction(site.bench.engine) as session:
        nodes.drain(session, "first")
    until(lambda: site.status(job_id) is JobStatus.QUEUED)
    site.worker(CHAINRULE_NODE_NAME="second")
    until(lambda: site.bench.job(job_id).node == "second" and site.running(job_id))
    assert site.bench.attempts(job_id)[0].cause == {"kind": "drain"}
    with transaction(site.bench.engine) as session:
        jobs.cancel(session, job_id)
    until(lambda: site.status(job_id) is JobStatus.CANCELLED)
