"""A sweep of fifty trials under faults: exactly fifty, each with its undisturbed result."""

from pathlib import Path

import pytest

from tests.faults.cluster.stack import Stack
from tests.faults.sweeps import GRID, chaos, reference

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_fifty_trials_when_processes_die(tmp_path: Path) -> None:
    known = reference(tmp_path)
    stack = Stack(tmp_path)
    try:
        outcome = chaos(stack, [GRID], 1, known)
    finally:
        stack.close()
    assert list(outcome.problems.values()) == [[]]
    assert len(outcome.hits) >= 4
