"""Fifteen faults in one stack: every job ends once, and its points and weights are unchanged."""

from collections.abc import Iterator

import pytest

from tests.faults.cluster.full_stack import FullStack
from tests.faults.injector import FaultInjector
from tests.faults.matrix import FAULTS, Fault
from tests.faults.requirements import require

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

IN_CI = (
    "runner_killed",
    "slot_killed",
    "worker_tree_killed",
    "worker_terminated",
    "node_drained",
    "machine_gone",
    "machine_unplugged",
    "clock_two_hours_ahead",
    "paused_and_resumed",
    "scheduler_and_worker_killed",
    "broker_restarted_empty",
    "broker_fed_garbage",
    "postgres_restarted",
    "newest_checkpoint_damaged",
    "database_link_blackhole_long",
)


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultInjector]:
    """One stack for all faults, repaired after each."""
    stack = FullStack(tmp_path_factory.mktemp("faults"))
    try:
        yield FaultInjector(stack)
    finally:
        stack.close()


@pytest.mark.parametrize("name", IN_CI)
def test_nothing_is_lost_doubled_or_wrong(injector: FaultInjector, name: str) -> None:
    outcome = injector.run(name, seed=1)
    require(outcome.skipped)
    assert not outcome.problems, "\n".join([*outcome.checker.history, *outcome.problems])


def test_a_fault_that_hits_nothing_fails(
    injector: FaultInjector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAULTS, "idle", Fault("idle", lambda _: None))
    outcome = injector.run("idle", seed=1, tries=1)
    assert not outcome.checker.violations
    assert outcome.problems == ["idle hit nothing: it recorded no hit"]
