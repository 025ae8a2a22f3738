"""All faults by name, and the decorator that adds a fault."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.cluster.stack import LEASE_SECONDS
from tests.faults.context import FaultContext

PAST_LEASE = LEASE_SECONDS * 1.5
WITHIN_LEASE = LEASE_SECONDS * 0.3

Inject = Callable[[FaultContext], None]


@dataclass(frozen=True)
class Fault:
    """A fault that is injected into a stack while a job trains. The stack is repaired afterwards.

    `inject` records in its context what it hit. `ends_attempt` says that no attempt survives a hit:
    if the attempt finished nevertheless, the fault missed it. `needs` names what the stack must
    have: machines, clocks, folder (for its store) or bucket; a FullStack also has mlflow, api and
    disks.
    """

    name: str
    inject: Inject
    ends_attempt: bool = False
    needs: str | None = None

    @property
    def of_services(self) -> bool:
        """Whether it is a fault of MLflow, the api or a disk, which only a FullStack has."""
        return self.needs in ("mlflow", "api", "disks")


FAULTS: dict[str, Fault] = {}
"""Every fault by its name."""


def fault(
    *, ends_attempt: bool = False, needs: str | None = None, name: str | None = None
) -> Callable[[Inject], Inject]:
    """Add the decorated function as a fault. Its name is that of the function, or `name`."""

    def add(inject: Inject) -> Inject:
        fault_name = name or inject.__name__
        FAULTS[fault_name] = Fault(fault_name, inject, ends_attempt, needs)
        return inject

    return add
