"""What Prometheus sees of workers and scheduler."""

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from chainrule.contract.status import AttemptStatus, JobStatus
from core import jobs, nodes
from core.db.session import transaction
from core.db.tables import Job
from tests.support import single
from tests.support.brokers import free_port
from tests.support.job_cases import claimed, points, queued
from tests.support.worker_cases import Bench, until
from tests.support.worker_sites import Site
from worker.node.metrics import SandboxParts, WorkerCounts
from worker.scheduler.metrics import SchedulerMetrics


def samples(text: str) -> dict[str, float]:
    return {
        one.name + "".join(one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_slots_count_for_themselves_and_are_summed() -> None:
    counts = WorkerCounts(2)
    counts.of_slot(0).add("steps", 3)
    counts.of_slot(1).add("steps", 4)
    counts.of_slot(1).set("busy", 1)
    registry = CollectorRegistry()
    registry.register(counts)
    shown = samples(generate_latest(registry).decode())
    assert shown["chainrule_worker_steps_total"] == 7
    assert shown["chainrule_worker_busy"] == 1
    assert shown["chainrule_worker_slots"] == 2


def test_parts_of_the_sandbox_hold_or_not() -> None:
    registry = CollectorRegistry()
    registry.register(SandboxParts({"landlock": "", "seccomp": "switched off"}))
    shown = samples(generate_latest(registry).decode())
    assert shown == {"chainrule_worker_sandboxlandlock": 1, "chainrule_worker_sandboxseccomp": 0}


def test_an_attempt_is_counted(bench: Bench) -> None:
    counts = WorkerCounts(1)
    bench.equipment.counts = counts.of_slot(0)
    job_id = bench.submit(epochs=2)
    bench.slot.work(job_id)
    bench.slot.work(job_id)
    assert counts.total("attempts_finished") == 1
    assert counts.total("duplicate_bells") == 1
    assert counts.total("steps") == 90
    assert counts.total("points") == sum(len(s) for s in bench.history(job_id).values())
    assert counts.total("busy") == 0


def test_the_scheduler_shows_how_the_rows_stand(engine: Engine) -> None:
    queued(engine)
    claim = claimed(engine)
    with transaction(engine) as session:
        single.record_metrics(session, claim.job_id, 1, 1, points(1, 2))
    shown = samples(generate_latest(SchedulerMetrics(engine).registry).decode())
    assert shown["chainrule_queue_jobscpu"] == 1
    assert shown["chainrule_leases"] == 1
    assert shown["chainrule_mirror_chunks"] == 1
    assert shown["chainrule_scheduler_reaped_total"] == 0
    assert shown["chainrule_jobsqueued"] == shown["chainrule_jobsrunning"] == 1
    assert shown["chainrule_dataset_bytes"] > 0
    assert shown["chainrule_checkpoint_bytes"] == 0
    assert shown["chainrule_workersclaiming"] == shown["chainrule_suspended_workers"] == 0


def test_attempts_are_counted_by_how_they_ended_and_why(engine: Engine) -> None:
    first = claimed(engine)
    with transaction(engine) as session:
        end = jobs.End(JobStatus.FAILED, cause={"kind": "user_error", "message": "no"})
        jobs.finish_all(session, {first.job_id: 1}, {first.job_id: end})
    with transaction(engine) as session:
        ended = jobs.ended_attempts(session, 3600)
        assert jobs.ended_attempts(session, -3600) == {}
    assert ended == {(AttemptStatus.FAILED, "user_error"): 1}
    shown = samples(generate_latest(SchedulerMetrics(engine).registry).decode())
    assert shown["chainrule_ended_attemptsuser_errorfailed"] == 1
    assert shown["chainrule_jobsfailed"] == 1


def test_live_workers_are_counted_by_state(engine: Engine) -> None:
    with transaction(engine) as session:
        for name, reason in {"a": None, "b": None, "c": "no space left"}.items():
            nodes.heartbeat(
                session,
                node=name,
                worker=name,
                host="h",
                pid=1,
                slots=1,
                queues=["cpu"],
                versions={},
                suspended_for=reason,
            )
        nodes.drain(session, "b")
    with transaction(engine) as session:
        states = nodes.worker_states(session)
        nodes.stopped(session, "a")
    assert states == {"claiming": 1, "draining": 1, "suspended": 1}
    with transaction(engine) as session:
        assert nodes.worker_states(session)["claiming"] == 0


def test_a_worker_process_shows_what_its_slots_count(site: Site) -> None:
    port = free_port()
    site.worker(CHAINRULE_METRICS_PORT=str(port))
    job_id = site.bench.submit(epochs=1)
    site.notify(job_id)
    until(lambda: site.status(job_id) is JobStatus.FINISHED)
    until(lambda: shown_by(port).get("chainrule_worker_attempts_finished_total") == 1)
    with transaction(site.bench.engine) as session:
        assert session.get_one(Job, job_id).attempt == 1


def shown_by(port: int) -> dict[str, float]:
    return samples(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
