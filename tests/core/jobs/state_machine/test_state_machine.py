"""Random lives of jobs agree with the model, and the model is sharp enough to find errors."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
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
# As many rounds as the machine has, but a mutant only has to be found, not to be made small.
HUNT = settings(ROUNDS, database=None, phases=[Phase.generate], report_multiple_bugs=False)
FOUND = (AssertionError, ChainruleError, SQLAlchemyError, LookupError)
"""What finding an error looks like: model, code or schema objects."""

pytestmark = pytest.mark.timeout(7200)


class WholeMachine(StackMachine, MirrorMachine):
    """Single jobs and stacks, mirrored."""


@seed(1)
class SeededMachine(WholeMachine):
    """The same histories in each run, so that finding a mutant does not depend on luck."""


@pytest.fixture
def machine(database_url: str) -> Iterator[type[JobMachine]]:
    """The machine on a fresh database."""
    yield from _on(database_url, WholeMachine)


@pytest.fixture
def seeded_machine(sqlite_url: str) -> Iterator[type[JobMachine]]:
    """The machine on SQLite with the same histories in each run."""
    yield from _on(sqlite_url, SeededMachine)


def _on(url: str, machine: type[JobMachine]) -> Iterator[type[JobMachine]]:
    JobMachine.clock = StandingClock(url)
    yield machine
    JobMachine.clock.engine.dispose()


def test_database_and_model_agree(machine: type[JobMachine]) -> None:
    on_sqlite = machine.clock.engine.dialect.name == "sqlite"
    run_state_machine_as_test(machine, settings=ROUNDS if on_sqlite else FEWER_ROUNDS)


@pytest.mark.parametrize("name", FOUND_BY_THE_MACHINE)
def test_the_machine_finds_the_mutant(seeded_machine: type[JobMachine], name: str) -> None:
    with FOUND_BY_THE_MACHINE[name].applied(), pytest.raises(FOUND):
        run_state_machine_as_test(seeded_machine, settings=HUNT)


@pytest.mark.parametrize("mutants", [FOUND_BY_THE_MACHINE, FOUND_BY_TESTS])
def test_every_mutant_fits_the_code(mutants: dict[str, Mutant]) -> None:
    for mutant in mutants.values():
        assert mutant.code()


def test_a_mutant_of_code_that_changed_is_refused() -> None:
    stale = Mutant(JobMachine.look, "what is not there", "")
    with pytest.raises(LookupError, match="has no single"), stale.applied():
        pass
