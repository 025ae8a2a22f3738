"""Fifteen faults in one stack: every job ends once, with the points and weights of a calm run."""

from collections.abc import Iterator

import pytest

from tests.faults.cluster.surroundings import WholeStack
from tests.faults.matrix import FAULTS, Fault
from tests.faults.nemesis import Nemesis
from tests.faults.tools import demand

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
def nemesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nemesis]:
    """One stack for all faults; each is healed before the next."""
    stack = WholeStack(tmp_path_factory.mktemp("faults"))
    try:
        yield Nemesis(stack)
    finally:
        stack.close()


@pytest.mark.parametrize("name", IN_CI)
def test_nothing_is_lost_doubled_or_wrong(nemesis: Nemesis, name: str) -> None:
    outcome = nemesis.run(name, seed=1)
    demand(outcome.skipped)
    assert not outcome.broken, "\n".join([*outcome.verdict.history, *outcome.broken])


def test_a_fault_that_strikes_nothing_fails(
    nemesis: Nemesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAULTS, "idle", Fault("idle", lambda _: None))
    outcome = nemesis.run("idle", seed=1, tries=1)
    assert not outcome.verdict.bad
    assert outcome.broken == ["idle struck nothing: it did not say what it struck"]
