"""Applies policies again and again, one batch at each call, so that nothing waits for long."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from core.retention.policy import Freed, RetentionPolicy, Storage

RETRY_SECONDS = 60.0
"""The pause after an error."""


@dataclass
class Pass:
    """The batches of a policy that is applied now, and what they freed so far."""

    policy: RetentionPolicy
    batches: Iterator[Freed] | None = None
    next_at: float = 0.0
    freed: Freed = field(default_factory=Freed)


class Retention:
    """Applies `policies` in turn; several processes may do so at the same time."""

    def __init__(
        self,
        storage: Storage,
        policies: Sequence[RetentionPolicy],
        report: Callable[[str, Freed], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report` is called with the kind and the total of each pass that freed anything."""
        self._storage, self._report, self._clock = storage, report, clock
        self._passes = [Pass(policy, next_at=clock()) for policy in policies]

    def advance(self) -> Freed:
        """Apply the next batch of each policy that is due. Returns what that freed.

        An error of a policy, such as UnavailableError, is raised after the others had their turn;
        the policy begins again a minute later.
        """
        freed, errors = Freed(), []
        for current in self._passes:
            if self._clock() >= current.next_at or current.batches is not None:
                try:
                    freed += self._advance(current)
                except Exception as error:
                    current.batches, current.next_at = None, self._clock() + RETRY_SECONDS
                    errors.append(error)
        if errors:
            raise errors[0]
        return freed

    def _advance(self, current: Pass) -> Freed:
        if current.batches is None:
            current.batches = current.policy.apply(self._storage)
            current.next_at = self._clock() + current.policy.pass_seconds
            current.freed = Freed()
        batch = next(current.batches, None)
        if batch is None:
            current.batches = None
            if current.freed:
                self._report(current.policy.kind, current.freed)
            return Freed()
        # Without the items, whose number has no bound.
        batch = Freed(batch.rows, batch.files, batch.bytes)
        current.freed += batch
        return batch


def apply_now(
    storage: Storage, policies: Sequence[RetentionPolicy], seconds: float
) -> tuple[dict[str, Freed], bool]:
    """Apply policies for about `seconds`: what each freed, and whether there is more to delete."""
    totals: dict[str, Freed] = {}
    ends_at = time.monotonic() + seconds
    for policy in policies:
        totals[policy.kind] = Freed()
        for batch in policy.apply(storage):
            totals[policy.kind] += batch
            # A pass that deletes nothing would begin anew each time.
            if batch and time.monotonic() >= ends_at:
                return totals, True
    return totals, False
