"""Nodes over REST: one worker is taken out and comes back."""

import httpx

from core import nodes
from core.db.session import transaction
from tests.support.api_cases import Http, assert_problem


def draining(answer: httpx.Response) -> dict[str, bool]:
    """Which workers of a node take no new jobs."""
    assert answer.status_code == 200, answer.text
    return {one["id"]: one["draining_at"] is not None for one in answer.json()["workers"]}


def test_one_worker_is_drained_and_comes_back(everywhere: Http) -> None:
    with transaction(everywhere.app.state.context.engine) as session:
        for worker in ("a", "b"):
            nodes.heartbeat(
                session, node="n1", worker=worker, host="h", pid=1, slots=1, queues=["cpu"],
                versions={},
            )  # fmt: skip
    where = "/v1/nodes/n1/workers"
    assert draining(everywhere.post(f"{where}/a/drain")) == {"a": True, "b": False}
    assert draining(everywhere.get("/v1/nodes/n1")) == {"a": True, "b": False}
    assert draining(everywhere.post(f"{where}/a/undrain")) == {"a": False, "b": False}
    assert_problem(everywhere.post(f"{where}/c/drain"), 404)
    assert_problem(everywhere.post("/v1/nodes/n2/workers/a/undrain"), 404)


def test_a_worker_that_its_circuit_breaker_stopped_is_shown_and_degrades(everywhere: Http) -> None:
    with transaction(everywhere.app.state.context.engine) as session:
        for worker, reason in (("a", "no space left on the disk of the cache"), ("b", None)):
            nodes.heartbeat(
                session, node="n1", worker=worker, host="h", pid=1, slots=1, queues=["cpu"],
                versions={}, suspended_for=reason,
            )  # fmt: skip
    first, second = everywhere.get("/v1/nodes/n1").json()["workers"]
    assert first["suspended_for"] == "no space left on the disk of the cache"
    assert first["suspended_at"] is not None
    assert (second["suspended_at"], second["suspended_for"]) == (None, None)
    answer = everywhere.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["missing"] == ["workers"]
    assert answer.json()["dependencies"]["workers"] == "1 of 2 claim no jobs: see /v1/nodes"
