"""Nodes over REST: one worker is taken out and comes back."""

from core import nodes
from core.db.session import transaction
from tests.apicases import Http, assert_problem


def draining(answer) -> dict[str, bool]:
    """Which workers of a node take no new jobs."""
    assert answer.status_code == 200, answer.text
    return {one["id"]: one["draining_at"] is not None for one in answer.json()["workers"]}


def test_one_worker_is_drained_and_comes_back(everywhere: Http):
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
