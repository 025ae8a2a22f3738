"""Nothing outlives a stack, and what it was doing goes on with the next one."""

import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import ENDLESS, Up, until

pytestmark = pytest.mark.e2e


def test_term_leaves_nothing_and_the_job_goes_on_later(
    up: Callable[..., Up], tmp_path: Path
) -> None:
    first = up(tmp_path / "data")
    first.upload()
    job_id = first.submit(ENDLESS)
    until(lambda: first.job(job_id)["epochs"] > 3, "some epochs", show=first.said)
    assert first.end() == 0, first.said()
    assert first.left() == []

    second = up(tmp_path / "data")
    second.reach(job_id, "running")
    resumed = until(
        lambda: second.job(job_id)["attempts"][-1]["resumed_from_step"],
        "the job goes on where it was",
        show=second.said,
    )
    assert resumed > 0
    second.remember()
    # Now without any chance to tidy up.
    assert second.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: second.left() == [], "nothing is left", 30, show=second.left)


def test_killed_and_frozen_children(up: Callable[..., Up], tmp_path: Path) -> None:
    one = up(tmp_path / "data", CHAINRULE_LEASE_SECONDS="6")
    one.upload()
    job_id = one.submit(ENDLESS)
    until(lambda: one.job(job_id)["epochs"], "an epoch", show=one.said)
    one.remember()
    for name in ("api", "worker", "worker.scheduler"):
        dead = one.child(name)
        dead.kill()
        until(
            lambda name=name, dead=dead: _is_new(one, name, dead),  # type: ignore[misc]
            f"a new {name}",
            show=one.said,
        )
    until(lambda: _answers(one), "the api is back", show=one.said)
    # The job whose worker was killed is taken up again.
    until(lambda: len(one.job(job_id)["attempts"]) > 1, "another attempt", show=one.said)
    one.reach(job_id, "running")
    one.remember()
    one.child("worker").suspend()
    assert one.end() == 0, one.said()
    assert one.left() == []


def _is_new(one: Up, name: str, dead: psutil.Process) -> bool:
    try:
        return bool(one.child(name) != dead)
    except (AssertionError, psutil.NoSuchProcess):
        return False


def _answers(one: Up) -> bool:
    try:
        return one.http.get("/healthz").is_success
    except httpx.TransportError:
        return False
