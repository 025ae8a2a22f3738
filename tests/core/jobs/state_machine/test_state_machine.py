"""Random lives of jobs agree with the model, and the model is sharp enough to find errors."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.exc import SQLAlchemyError

from core.errors import ChainruleError
from tests.core.jobs.mutants import FOUND_BY_TESTS, FOUND_BY_THE_MACHINE, Mutant
from tests.core.jobs.state_machine.machine import JobMachine
from tests.core.jobs.state_machine.mirror_rules import MirrorMachine
from tests.core.jobs.state_machine.stack_rules import StackMachine
from tests.support.clocks import StandingClock

COUNT = int(os.environ.get("CHAINRULE_TEST_ROUNDS", "200"))
ROUNDS = settings(
    max_examples=COUNT,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
# A round costs more on PostgreSQL, whose locks and clock are all that may differ.
FEWER_ROUNDS = settings(ROUNDS, max_examples=max(1, COUNT // 10))
# A mutant only has to be found, not to be made small.
HUNT = settings(
    ROUNDS,
    max_examples=max(1, COUNT // 4),
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
# Rules that need each other, such as a pause and its end, meet in long rounds only.
LONG_HUNT = settings(HUNT, stateful_step_count=60)
FOUND = (AssertionError, ChainruleError, SQLAlchemyError, LookupError, FlakyFailure)
"""What finding an error looks like: model, code or schema objects, perhaps once only."""

HUNTS = 12
"""Runs in which a mutant may be found. Ids of jobs are random, so that one run may miss it."""

pytestmark = pytest.mark.timeout(7200)


class WholeMachine(StackMachine, MirrorMachine):
    """Single jobs and stacks, mirrored."""


@pytest.fixture
def machine(database_url: str) -> Iterator[type[JobMachine]]:
    """The machine on a fresh database."""
    yield from _on(database_url, WholeMachine)


@pytest.fixture
def machine_on_sqlite(sqlite_url: str) -> Iterator[type[JobMachine]]:
    """The machine on a fresh SQLite database."""
    yield from _on(sqlite_url, WholeMachine)


def _on(url: str, machine: type[JobMachine]) -> Iterator[type[JobMachine]]:
    JobMachine.clock = StandingClock(url)
    yield machine
    JobMachine.clock.engine.dispose()


def test_database_and_model_agree(machine: type[JobMachine]) -> None:
    on_sqlite = machine.clock.engine.dialect.name == "sqlite"
    run_state_machine_as_test(machine, settings=ROUNDS if on_sqlite else FEWER_ROUNDS)


@pytest.mark.parametrize("name", FOUND_BY_THE_MACHINE)
def test_the_machine_finds_the_mutant(machine_on_sqlite: type[JobMachine], name: str) -> None:
    with FOUND_BY_THE_MACHINE[name].applied():
        assert any(finds_an_error(machine_on_sqlite, number) for number in range(HUNTS))


def finds_an_error(machine: type[JobMachine], number: int) -> bool:
    """Whether random lives of jobs, chosen by the seed `number`, find an error."""
    seeded = seed(number)(type("Seeded", (machine,), {}))
    try:
        run_state_machine_as_test(seeded, settings=HUNT if number % 2 else LONG_HUNT)
    except FOUND:
        return True
    except Flaky:
        # Something failed, and its repetition took another way before it could fail again.
        return False
    return False


@pytest.mark.parametrize("mutants", [FOUND_BY_THE_MACHINE, FOUND_BY_TESTS])
def test_every_mutant_fits_the_code(mutants: dict[str, Mutant]) -> None:
    for mutant in mutants.values():
        assert mutant.code()


def test_a_mutant_of_code_that_changed_is_refused() -> None:
    stale = Mutant(JobMachine.look, "what is not there", "")
    with pytest.raises(LookupError, match="has no single"), stale.applied():
        pass
