"""All faults by name, and how a fault is added."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.cluster.stack import LEASE_SECONDS
from tests.faults.scene import Scene

PAST_LEASE = LEASE_SECONDS * 1.5
WITHIN_LEASE = LEASE_SECONDS * 0.3


@dataclass(frozen=True)
class Fault:
    """Harm done to a stack while a job trains; healing comes after it.

    `do` says to its scene what it struck. `costs` says that the attempt it met cannot go on: one
    that finished all the same was not met. `needs` names what the stack must have besides:
    machines, clocks, folder (for its store), bucket; of a WholeStack mlflow, api, disks.
    """

    name: str
    do: Callable[[Scene], None]
    costs: bool = False
    needs: str | None = None

    @property
    def around(self) -> bool:
        """Whether it is of what is around a stack: it needs a WholeStack."""
        return self.needs in ("mlflow", "api", "disks")


FAULTS: dict[str, Fault] = {}
"""Every fault by its name."""


def fault(
    *, costs: bool = False, needs: str | None = None, name: str | None = None
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Add a fault, named as its function unless `name` says otherwise."""

    def add(do: Callable[[Scene], None]) -> Callable[[Scene], None]:
        known = name or do.__name__
        FAULTS[known] = Fault(known, do, costs, needs)
        return do

    return add
