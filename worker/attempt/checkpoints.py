"""Upload checkpoints to the store, then let the job resume from them; training does not wait."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine

from core import jobs
from core.data.storage.stores import Store
from core.db.session import reading, transaction
from core.errors import ChainruleError, SupersededError
from core.events import CheckpointSaved
from worker.attempt.recorder import Recorder

log = structlog.get_logger()

_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 10.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class _Waiting:
    """A checkpoint on this machine's disk, and the recorder's ticket for the points before it."""

    saved: CheckpointSaved
    ticket: int
    number: int


class CheckpointUploader:
    """Uploads from a thread of its own. A newer checkpoint replaces one that waits.

    The row of a checkpoint is written last: after its bytes are in the store, and after all points
    up to its step are in the database, because a resumed attempt does not measure them again.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        claim: jobs.Claim,
        recorder: Recorder,
        *,
        keep: int,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Keeps the `keep` newest; `failed` is called for each whose upload failed at first."""
        self._engine = engine
        self._store = store
        self._claim = claim
        self._recorder = recorder
        self._keep = keep
        self._failed = failed
        self._waiting: _Waiting | None = None
        self._count = self._done = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def save(self, saved: CheckpointSaved) -> None:
        """Upload a checkpoint soon. Never waits."""
        ticket = self._recorder.ticket()
        with self._changed:
            if self._waiting is not None:
                Path(self._waiting.saved.path).unlink(missing_ok=True)
            self._count += 1
            self._waiting = _Waiting(saved, ticket, self._count)
            self._changed.notify_all()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the newest checkpoint is uploaded; False when it is not within the timeout."""
        with self._changed:
            count = self._count
            self._changed.wait_for(lambda: self._done >= count or self._ended, timeout_seconds)
            return self._done >= count

    def end(self) -> None:
        """Stop uploading."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (waiting := self._take()) is not None:
            try:
                if self._upload(waiting):
                    with self._changed:
                        self._done = waiting.number
                        self._changed.notify_all()
                    self._collect()
            except SupersededError:
                self.end()
            except ChainruleError as error:
                log.warning("a checkpoint was not uploaded", reason=error.detail)
                self._failed()
            except Exception:
                # Whatever the error is, training continues and the next checkpoint is tried.
                log.exception("a checkpoint was not uploaded")
                self._failed()

    def _take(self) -> _Waiting | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._ended)
            if self._ended:
                return None
            waiting, self._waiting = self._waiting, None
            return waiting

    def _upload(self, waiting: _Waiting) -> bool:
        """Upload one checkpoint; False when a newer one came before this one was uploaded."""
        saved, pause = waiting.saved, _FIRST_RETRY_SECONDS
        path = Path(saved.path)
        key = f"checkpoints/{self._claim.job_id}/{self._claim.attempt}/{saved.step}-{saved.digest}"
        stored = False
        try:
            while not self._outdated():
                try:
                    if not stored:
                        self._store.put_file(path, key)
                        stored = True
                    if self._recorder.wait(waiting.ticket, _LOOK_SECONDS):
                        self._point_at(saved, key, path.stat().st_size)
                        return True
                except SupersededError:
                    raise
                except (ChainruleError, OSError) as error:
                    log.warning("an upload waits for the store", reason=str(error))
                    if pause == _FIRST_RETRY_SECONDS:
                        self._failed()
                    self._sleep(pause)
                    pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
            return False
        finally:
            path.unlink(missing_ok=True)

    def _point_at(self, saved: CheckpointSaved, key: str, size: int) -> None:
        with transaction(self._engine) as session:
            jobs.record_checkpoint(
                session,
                self._claim.job_id,
                self._claim.attempt,
                step=saved.step,
                epoch=saved.epoch,
                key=key,
                size_bytes=size,
                digest=saved.digest,
                best=saved.best,
            )
        self._recorder.log(f"a checkpoint of step {saved.step:,} is saved")

    def _collect(self) -> None:
        """Erase the checkpoints that are no longer needed."""
        with reading(self._engine) as session:
            spare = jobs.spare_checkpoints(session, self._claim.job_id, keep=self._keep)
        for row in spare:
            # The row first: a file without a row is harmless, a row without a file is not.
            with transaction(self._engine) as session:
                jobs.forget_checkpoint(session, row.id)
            self._store.delete(row.key)

    def _outdated(self) -> bool:
        with self._changed:
            return self._ended or self._waiting is not None or self._recorder.failed is not None

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._waiting is not None, until - time.monotonic()
            )
