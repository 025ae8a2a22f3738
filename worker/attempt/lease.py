"""Keep the claims of an attempt alive from a thread, and know when they may have run out.

All deadlines are by this machine's monotonic clock and count from the moment a renewal was sent,
so that neither a wrong clock nor a slow answer makes the lease look longer than it is.
"""

import threading
import time
from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.session import reading, transaction
from core.errors import UnavailableError
from core.settings import Settings
from worker.attempt.members import Members

log = structlog.get_logger()

_LOOK_SECONDS = 0.25
_RETRY_SECONDS = 0.25


class Lease:
    """One lease for all members. `signals` holds what the owner of each asks for, by job id."""

    def __init__(
        self,
        engine: Engine,
        members: Members,
        settings: Settings,
        *,
        claimed_at: float,
        on_renewal: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`claimed_at` is the monotonic moment before the first claim was sent.

        `on_renewal` is called with the moment until which the lease now holds.
        """
        self.signals: Mapping[str, jobs.Signals] = {}
        self._engine = engine
        self._members = members
        self._settings = settings
        self._on_renewal = on_renewal
        self._until = claimed_at + settings.self_fence_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def until(self) -> float:
        """The monotonic moment until which the attempt may act."""
        return self._until

    @property
    def overdue(self) -> bool:
        """Whether the last renewal is so long ago that training should stand still.

        The database does not answer. Training continues with the jobs that the attempt still owns
        when it answers again: an outage of the database costs no attempt.
        """
        return time.monotonic() >= self._until - self._settings.renew_seconds / 2

    @property
    def expired(self) -> bool:
        """Whether the attempt must write nothing until the lease is renewed."""
        return time.monotonic() >= self._until

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def end(self) -> None:
        """Stop renewing; the attempt is over."""
        self._ended.set()

    def _run(self) -> None:
        pause = self._settings.renew_seconds
        renew_at = self._until - self._settings.self_fence_seconds + pause
        while not self._ended.wait(min(_LOOK_SECONDS, max(0.0, renew_at - time.monotonic()))):
            due = time.monotonic() >= renew_at
            owned = self._members.owned
            if not owned:
                continue
            try:
                if due:
                    sent_at = time.monotonic()
                    self._renew(owned, sent_at)
                    renew_at = sent_at + pause
                else:
                    self._look(owned)
            except UnavailableError as error:
                log.warning("the lease was not renewed", reason=error.detail)
                renew_at = time.monotonic() + (_RETRY_SECONDS if due else 0)

    def _renew(self, owned: jobs.Owned, sent_at: float) -> None:
        with transaction(self._engine) as session:
            signals = jobs.renew(session, owned, self._settings.lease_seconds)
        self._members.confirm(owned, signals)
        if signals:
            self._until = sent_at + self._settings.self_fence_seconds
            self._on_renewal(self._until)
        self.signals = signals

    def _look(self, owned: jobs.Owned) -> None:
        with reading(self._engine) as session:
            signals = jobs.signals(session, owned)
        self._members.confirm(owned, signals)
        self.signals = signals
