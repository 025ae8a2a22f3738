"""Nodes: who is there, what they can do, and who is to drain."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from core import nodes
from core.db.session import transaction
from core.errors import NotFoundError
from core.spec.version import SPEC_VERSION
from tests.support.job_cases import claimed, do


def beat(engine: Engine, worker: str, node: str = "n1", **changes: Any) -> bool:
    given = {
        "host": "h", "pid": 7, "slots": 2, "queues": ["cpu"], "versions": {"numpy": "2"},
        "devices": ["cpu"],
    }  # fmt: skip
    return do(engine, nodes.heartbeat, node=node, worker=worker, **(given | changes))


def age(engine: Engine, worker: str, seconds: int) -> None:
    statement = text("UPDATE workers SET heartbeat_at = heartbeat_at - :ms WHERE id = :id")
    with transaction(engine) as session:
        session.execute(statement, {"ms": seconds * 1000, "id": worker})


def test_workers_of_a_machine_make_one_node(engine: Engine) -> None:
    beat(engine, "a")
    beat(engine, "b", queues=["cpu", "gpu"], slots=3)
    beat(engine, "c", node="n2")
    beat(engine, "a", versions={"numpy": "3"})
    first, second = do(engine, nodes.list_nodes)
    assert (first.node.name, first.slots, first.queues) == ("n1", 5, ["cpu", "gpu"])
    assert (first.node.versions, first.node.devices) == ({"numpy": "3"}, ["cpu"])
    assert [worker.id for worker in first.workers] == ["a", "b"]
    assert (second.node.name, second.alive, second.running) == ("n2", True, 0)
    assert do(engine, nodes.slots) == {"cpu": 7, "gpu": 3}


def test_who_is_silent_or_stopped_counts_no_more(engine: Engine) -> None:
    beat(engine, "a")
    beat(engine, "b")
    age(engine, "a", 31)
    assert do(engine, nodes.slots) == {"cpu": 2}
    do(engine, nodes.stopped, "b")
    assert do(engine, nodes.slots) == {}
    state = do(engine, nodes.get_node, "n1")
    assert (state.alive, state.slots, state.queues) == (False, 0, [])
    beat(engine, "b")
    assert do(engine, nodes.get_node, "n1").alive


def test_a_node_learns_of_a_drain_at_its_next_heartbeat(engine: Engine) -> None:
    assert beat(engine, "a") is False
    first = do(engine, nodes.drain, "n1")
    assert do(engine, nodes.drain, "n1").draining_at == first.draining_at is not None
    assert beat(engine, "a") is True
    assert do(engine, nodes.slots) == {}
    assert do(engine, nodes.drain, "n1", on=False).draining_at is None
    assert beat(engine, "a") is False
    assert do(engine, nodes.slots) == {"cpu": 2}


def test_one_worker_drains_and_the_others_go_on(engine: Engine) -> None:
    beat(engine, "a")
    beat(engine, "b")
    first = do(engine, nodes.drain_worker, "n1", "a")
    again = do(engine, nodes.drain_worker, "n1", "a")
    assert again.draining_at == first.draining_at is not None
    assert (beat(engine, "a"), beat(engine, "b")) == (True, False)
    assert do(engine, nodes.draining, "a")
    assert do(engine, nodes.slots) == {"cpu": 2}
    do(engine, nodes.drain_worker, "n1", "a", on=False)
    assert beat(engine, "a") is False
    for node, worker in (("n2", "a"), ("n1", "c")):
        with pytest.raises(NotFoundError):
            do(engine, nodes.drain_worker, node, worker)


def test_running_jobs_are_counted_by_node(engine: Engine) -> None:
    beat(engine, "a")
    claimed(engine)
    claimed(engine)
    assert do(engine, nodes.get_node, "n1").running == 2


def read_versions(engine: Engine) -> dict[str, int]:
    return {queue: state.spec_version for queue, state in do(engine, nodes.queue_workers).items()}


def test_the_newest_spec_version_that_workers_of_a_queue_read(engine: Engine) -> None:
    assert read_versions(engine) == {}
    for worker, queues in (("a", ["cpu"]), ("b", ["cpu", "gpu"]), ("c", ["gpu"])):
        beat(engine, worker, queues=queues)
    assert read_versions(engine) == {"cpu": SPEC_VERSION, "gpu": SPEC_VERSION}
    for worker, version in (("a", 3), ("b", 2), ("c", 1)):
        statement = text("UPDATE workers SET spec_version = :version WHERE id = :id")
        with transaction(engine) as session:
            session.execute(statement, {"version": version, "id": worker})
    assert read_versions(engine) == {"cpu": 3, "gpu": 2}
    age(engine, "a", 31)
    assert read_versions(engine) == {"cpu": 2, "gpu": 2}
    # One that is upgraded says so by itself.
    beat(engine, "b", queues=["cpu"])
    assert read_versions(engine) == {"cpu": SPEC_VERSION, "gpu": 1}


def test_a_queue_takes_jobs_while_one_of_its_workers_does(engine: Engine) -> None:
    def takes_jobs() -> bool:
        return do(engine, nodes.queue_workers)["cpu"].take_jobs

    beat(engine, "a")
    beat(engine, "b", node="n2")
    do(engine, nodes.drain_worker, "n1", "a")
    assert takes_jobs()
    beat(engine, "b", node="n2", suspended_for="the disk is full")
    assert not takes_jobs()
    do(engine, nodes.drain_worker, "n1", "a", on=False)
    assert takes_jobs()
    do(engine, nodes.drain, "n1")
    assert not takes_jobs()


def test_an_unknown_node_is_not_found(engine: Engine) -> None:
    for use_case in (nodes.get_node, nodes.drain):
        with pytest.raises(NotFoundError):
            do(engine, use_case, "nobody")


def test_a_worker_that_stopped_claiming_says_since_when_and_why(engine: Engine) -> None:
    beat(engine, "a", suspended_for="the disk is full")
    beat(engine, "b")
    assert do(engine, nodes.suspended) == (1, 2)
    assert do(engine, nodes.slots) == {"cpu": 2}
    first, _ = do(engine, nodes.get_node, "n1").workers
    assert first.suspended_at is not None
    beat(engine, "a", suspended_for="x" * 999)
    again, _ = do(engine, nodes.get_node, "n1").workers
    assert (again.suspended_at, again.suspended_for) == (first.suspended_at, "x" * 255)
    beat(engine, "a")
    again, _ = do(engine, nodes.get_node, "n1").workers
    assert (again.suspended_at, again.suspended_for) == (None, None)
    assert do(engine, nodes.suspended) == (0, 2)
    assert do(engine, nodes.slots) == {"cpu": 4}
