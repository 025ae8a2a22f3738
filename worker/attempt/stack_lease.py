"""Keep the claims of a stack alive together, and know when they may have ended."""

import time
from collections.abc import Callable, Mapping

from sqlalchemy import Engine

from core import jobs
from core.db.session import reading, transaction
from core.settings import Settings
from worker.node.timings import STATEMENT_SHARE

_LOOK_SECONDS = 0.25

Wishes = dict[str, jobs.Renewal]
"""What is wanted of each member that is still ours."""


class JointLease:
    """One lease of many members; deadlines are by the monotonic clock, as those of a Lease."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        claimed_at: float,
        renewed: Callable[[float], None],
    ) -> None:
        """`claimed_at` is the monotonic moment before the first claim was sent; `renewed` is called

        with the moment until which the lease now holds.
        """
        self._engine = engine
        self._settings = settings
        self._renewed = renewed
        self._held_at = self._looked_at = claimed_at

    @property
    def until(self) -> float:
        """The monotonic moment until which the members may act."""
        return self._held_at + self._settings.self_fence_seconds

    @property
    def pausing(self) -> bool:
        """Whether it is so long since the last renewal that training should stand still.

        Early: whoever renews also watches training, and a statement that hangs must not outlast it.
        """
        hanging = self._settings.lease_seconds * STATEMENT_SHARE
        return time.monotonic() >= self.until - hanging

    def look(self, owned: Mapping[str, int]) -> Wishes | None:
        """Renew when it is time to, or hear what is wanted; None when neither is due.

        Raises UnavailableError.
        """
        now = time.monotonic()
        if now >= self._held_at + self._settings.renew_seconds:
            return self.renew(owned)
        if now - self._looked_at < _LOOK_SECONDS:
            return None
        with reading(self._engine) as session:
            wanted = jobs.wanted_of_all(session, owned)
        self._looked_at = now
        return wanted

    def renew(self, owned: Mapping[str, int]) -> Wishes:
        """Own all members for another lease. Raises UnavailableError."""
        sent_at = time.monotonic()
        with transaction(self._engine) as session:
            wanted = jobs.renew_all(session, owned, self._settings.lease_seconds)
        self._held_at = self._looked_at = sent_at
        self._renewed(self.until)
        return wanted
