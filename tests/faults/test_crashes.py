"""Attempts that end at random moments and at every crash point: exactly once, bit for bit."""

from collections.abc import Iterator

import pytest

from tests.faults.crash_injector import CrashInjector, crash_points, random_kills

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashInjector]:
    """Workers that crash where a test plans it."""
    injector = CrashInjector(tmp_path_factory.mktemp("crashes"))
    yield injector
    injector.close()


def test_twenty_kills_at_random_moments_change_nothing(injector: CrashInjector) -> None:
    results = list(injector.run(random_kills(20, seed=1, steps=injector.steps)))
    assert len(results) == 20
    assert [problem for result in results for problem in result.problems] == []


def test_a_kill_or_an_unknown_outcome_after_any_operation_changes_nothing(
    injector: CrashInjector,
) -> None:
    selected = (("kill", "after"), ("unknown", "after"))
    plans = [
        plan
        for plan in crash_points()
        if (plan.settings["how"], plan.settings["moment"]) in selected
    ]
    results = list(injector.run(plans))
    assert len(results) == 18
    assert [problem for result in results for problem in result.problems] == []
