"""Keep a claim alive from a thread of its own, and know when it may have ended.

All deadlines are by this machine's monotonic clock and count from the moment a renewal was sent,
so that neither a wrong clock nor a slow answer makes the lease look longer than it is.
"""

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from core import jobs
from core.db.session import reading, transaction
from core.errors import SupersededError, UnavailableError
from core.settings import Settings

log = structlog.get_logger()

_LOOK_SECONDS = 0.25
_RETRY_SECONDS = 0.25


class Lease:
    """The lease of one claim. `cancel`, `pause` and `superseded` are set as they become true."""

    def __init__(
        self,
        engine: Engine,
        claim: jobs.Claim,
        settings: Settings,
        *,
        claimed_at: float,
        renewed: Callable[[float], None] = lambda until: None,
    ) -> None:
        """`claimed_at` is the monotonic moment before the claim was sent; `renewed` is called with

        the moment until which the lease now holds.
        """
        self.cancel = threading.Event()
        self.pause = threading.Event()
        self.superseded = threading.Event()
        self._engine = engine
        self._claim = claim
        self._settings = settings
        self._renewed = renewed
        self._until = claimed_at + settings.self_fence_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    @property
    def until(self) -> float:
        """The monotonic moment until which this attempt may act."""
        return self._until

    @property
    def pausing(self) -> bool:
        """Whether it is so long since the last renewal that training should stand still.

        The database does not answer. If the job is still this attempt's when it does, training
        goes on: an outage of the database costs no attempt.
        """
        return time.monotonic() >= self._until - self._settings.renew_seconds / 2

    @property
    def lost(self) -> bool:
        """Whether this attempt must stop at once and write nothing more."""
        return self.superseded.is_set() or time.monotonic() >= self._until

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def end(self) -> None:
        """Renew no more; the attempt is over."""
        self._ended.set()

    def _keep(self) -> None:
        pause = self._settings.renew_seconds
        renew_at = self._until - self._settings.self_fence_seconds + pause
        while not self._ended.wait(min(_LOOK_SECONDS, max(0.0, renew_at - time.monotonic()))):
            due = time.monotonic() >= renew_at
            try:
                if due:
                    sent_at = time.monotonic()
                    self._renew(sent_at)
                    renew_at = sent_at + pause
                else:
                    self._look()
            except SupersededError:
                self.superseded.set()
                return
            except UnavailableError as error:
                log.warning("the lease was not renewed", reason=error.detail)
                renew_at = time.monotonic() + (_RETRY_SECONDS if due else 0)

    def _renew(self, sent_at: float) -> None:
        with transaction(self._engine) as session:
            wanted = jobs.renew(session, self._claim, self._settings.lease_seconds)
        self._until = sent_at + self._settings.self_fence_seconds
        self._hear(wanted)
        self._renewed(self._until)

    def _look(self) -> None:
        with reading(self._engine) as session:
            self._hear(jobs.wanted(session, self._claim))

    def _hear(self, wanted: jobs.Renewal) -> None:
        for event, is_wanted in (
            (self.cancel, wanted.cancel_requested),
            (self.pause, wanted.pause_requested),
        ):
            if is_wanted:
                event.set()
            else:
                event.clear()
