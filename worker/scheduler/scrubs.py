"""Background scrubs that detect damage: of the cache by a worker, of the store by a scheduler.

A damaged file is removed from a cache and fetched again when it is needed. A damaged object of the
store is replaced by a worker that has an undamaged copy.
"""

import threading
from contextlib import ExitStack

import structlog
from sqlalchemy import Engine

from core import datasets
from core.data.storage import damage
from core.data.storage.cache import Cache
from core.data.storage.scrub import Scrub, scrub_cache, scrub_store
from core.data.storage.stores import Store
from core.db.session import reading
from worker.node.metrics import SlotCounts
from worker.scheduler.loop import Loop
from worker.scheduler.metrics import SchedulerMetrics

log = structlog.get_logger()

_SCRUB_SECONDS = 1.0
_REPAIR_SECONDS = 20.0
_REPORT_SECONDS = 60.0
_LOCK = "scrub"
_MAX_NAMED = 20


class CacheScrub:
    """Scrubs a cache and repairs the store from it, in one of the processes that use the cache."""

    def __init__(
        self, engine: Engine, store: Store, cache: Cache, counts: SlotCounts, bytes_per_second: int
    ) -> None:
        """With 0 bytes a second the cache is not scrubbed; the store is repaired all the same."""
        self._engine, self._store, self._cache, self._counts = engine, store, cache, counts
        self._choosing = threading.Lock()
        self._held = ExitStack()
        self._chosen = False
        self._rate = bytes_per_second
        self._scrub = Scrub(lambda: scrub_cache(cache, self._log_removed), max(1, bytes_per_second))
        self._loops: list[Loop] = []

    def start(self) -> None:
        """Start the threads."""
        self._loops = [Loop("repair the store", _REPAIR_SECONDS, self.repair)]
        if self._rate:
            self._loops.append(Loop("scrub the cache", _SCRUB_SECONDS, self.scrub))
        for loop in self._loops:
            loop.start()

    def end(self) -> None:
        """Stop the threads after their present rounds."""
        for loop in self._loops:
            loop.end(0.0)
        self._held.close()

    def scrub(self) -> None:
        """Read the next bytes. Raises UnavailableError."""
        if self._is_chosen():
            self._counts.add("cache_bytes_scrubbed", self._scrub.advance())

    def repair(self) -> None:
        """Replace damaged objects of the store from the cache. Raises UnavailableError."""
        if not self._is_chosen():
            return
        for key in datasets.repair(self._engine, self._store, self._cache):
            log.warning("a damaged object of the store was replaced", key=key)
            self._counts.add("store_repaired")

    def _is_chosen(self) -> bool:
        """Whether this process has the lock, which it keeps until it ends."""
        with self._choosing:
            if not self._chosen:
                with ExitStack() as stack:
                    self._chosen = stack.enter_context(self._cache.alone(_LOCK))
                    if self._chosen:
                        self._held = stack.pop_all()
            return self._chosen

    def _log_removed(self, digest: str) -> None:
        log.error("a damaged file was removed from the cache", digest=digest)
        self._counts.add("cache_damaged")


class StoreScrub:
    """Scrubs the store and reports which dataset versions are damaged."""

    def __init__(
        self, engine: Engine, store: Store, metrics: SchedulerMetrics, bytes_per_second: int
    ) -> None:
        """With 0 bytes a second the store is not scrubbed; damage found otherwise is reported."""
        self._engine, self._store, self._metrics = engine, store, metrics
        self._rate = bytes_per_second
        self._scrub = Scrub(lambda: scrub_store(store, self._log_damaged), max(1, bytes_per_second))
        self._reported: set[str] = set()

    def loops(self) -> list[Loop]:
        """The loops that a scheduler runs."""
        report = Loop("report damage", _REPORT_SECONDS, self.report)
        if not self._rate:
            return [report]
        return [report, Loop("scrub the store", _SCRUB_SECONDS, self.scrub)]

    def scrub(self) -> None:
        """Read the next bytes. Raises UnavailableError."""
        self._metrics.scrubbed.inc(self._scrub.advance())

    def report(self) -> None:
        """Log what was damaged or repaired since the last call. Raises UnavailableError."""
        keys = damage.damaged_keys(self._store)
        self._metrics.damaged.set(len(keys))
        new = [key for key in keys if key not in self._reported]
        with reading(self._engine) as session:
            needing = datasets.damaged_versions(session, self._store, new[:_MAX_NAMED])
        for key, versions in needing.items():
            log.error(
                "an object of the store is damaged: unless a worker replaces it from its cache, "
                "upload the dataset again",
                key=key,
                versions=versions,
            )
        for key in self._reported.difference(keys):
            log.info("an object of the store is no longer damaged", key=key)
        self._reported.difference_update(self._reported.difference(keys))
        self._reported.update(needing)

    def _log_damaged(self, key: str) -> None:
        log.error("an object of the store is damaged", key=key)
