"""What a list of machines says about those that take no jobs."""

import httpx
import pytest

from chainrule.cli.capacity import state, warnings
from chainrule.client.transport import Document
from tests.chainrule.cli.commands import run, use

WORKER: Document = {"queues": ["cpu"], "slots": 1, "draining_at": None, "suspended_at": None}


def node(*workers: Document, **changes: object) -> Document:
    """A machine as the API returns it."""
    alive = bool(workers)
    return {"name": "n1", "alive": alive, "queues": ["cpu"] if alive else [], "draining_at": None,
            "workers": list(workers), **changes}  # fmt: skip


DRAINING = {**WORKER, "draining_at": "2026-01-01T00:00:00Z"}
SUSPENDED = {**WORKER, "suspended_at": "2026-01-01T00:00:00Z", "suspended_for": "disk is full"}


@pytest.mark.parametrize(
    ("machine", "expected", "warned"),
    [
        (node(WORKER), "ok", False),
        (node(), "no live worker", True),
        (node(draining_at="2026-01-01T00:00:00Z"), "no live worker", True),
        (node(WORKER, draining_at="2026-01-01T00:00:00Z"), "draining", True),
        (node(WORKER, DRAINING), "1 of 2 draining", False),
        (node(DRAINING), "1 of 1 draining", True),
        (node(SUSPENDED, WORKER), "1 suspended: disk is full", False),
        (node(SUSPENDED), "1 suspended: disk is full", True),
    ],
)
def test_the_state_of_a_machine(machine: Document, expected: str, warned: bool) -> None:
    assert state(machine).plain == expected
    assert bool(list(warnings([machine]))) == warned
    # Another machine takes the jobs.
    assert list(warnings([machine, node(WORKER)])) == []


def test_each_queue_needs_a_worker() -> None:
    gpu = {**WORKER, "queues": ["gpu"]}
    drained = node({**gpu, "draining_at": "2026-01-01T00:00:00Z"}, queues=["gpu"])
    (text,) = warnings([node(WORKER), drained])
    assert text.startswith("no worker of queue gpu takes jobs")


def test_draining_the_last_machine_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    drained = node(WORKER, draining_at="2026-01-01T00:00:00Z")

    def answer(request: httpx.Request) -> httpx.Response:
        listed = {"items": [drained], "next": None}
        return httpx.Response(200, json=drained if request.method == "POST" else listed)

    use(monkeypatch, httpx.MockTransport(answer))
    ended = run("drain", "n1")
    assert ended.code == 0
    assert "warning: no worker of queue cpu takes jobs" in " ".join(ended.error.split())
    assert "warning: no worker of queue cpu takes jobs" in " ".join(run("nodes").output.split())
