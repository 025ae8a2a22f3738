"""Background scrubs: a worker reads its cache again, the scheduler the store.

What is damaged in a cache is dropped, and fetched when it is needed. What is damaged in the store
is replaced by a worker that has a sound copy.
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
from worker.node.metrics import Row
from worker.scheduler.loop import Loop
from worker.scheduler.metrics import Instruments

log = structlog.get_logger()

_SCRUB_SECONDS = 1.0
_REPAIR_SECONDS = 20.0
_REPORT_SECONDS = 60.0
_LOCK = "scrub"
_MOST_NAMED = 20


class CacheScrub:
    """Scrubs a cache and repairs the store from it: one of all processes that share the cache."""

    def __init__(
        self, engine: Engine, store: Store, cache: Cache, counts: Row, bytes_per_second: int
    ) -> None:
        """With 0 bytes a second nothing is scrubbed; the store is repaired still."""
        self._engine, self._store, self._cache, self._counts = engine, store, cache, counts
        self._choosing = threading.Lock()
        self._held = ExitStack()
        self._chosen = False
        self._rate = bytes_per_second
        self._scrub = Scrub(lambda: scrub_cache(cache, self._dropped), max(1, bytes_per_second))
        self._loops: list[Loop] = []

    def start(self) -> None:
        """Begin."""
        self._loops = [Loop("repair the store", _REPAIR_SECONDS, self.repair)]
        if self._rate:
            self._loops.append(Loop("scrub the cache", _SCRUB_SECONDS, self.scrub))
        for loop in self._loops:
            loop.start()

    def end(self) -> None:
        """Begin nothing more."""
        for loop in self._loops:
            loop.end(0.0)
        self._held.close()

    def scrub(self) -> None:
        """Read on. Raises UnavailableError."""
        if self._is_chosen():
            self._counts.add("cache_bytes_scrubbed", self._scrub.advance())

    def repair(self) -> None:
        """Replace damaged objects of the store by sound copies. Raises UnavailableError."""
        if not self._is_chosen():
            return
        for key in datasets.repair(self._engine, self._store, self._cache):
            log.warning("damaged bytes of the store were replaced by a copy", key=key)
            self._counts.add("store_repaired")

    def _is_chosen(self) -> bool:
        """Whether this process has the lock, which it keeps as long as it lives."""
        with self._choosing:
            if not self._chosen:
                with ExitStack() as stack:
                    self._chosen = stack.enter_context(self._cache.alone(_LOCK))
                    if self._chosen:
                        self._held = stack.pop_all()
            return self._chosen

    def _dropped(self, digest: str) -> None:
        log.error("a damaged file of the cache was dropped", digest=digest)
        self._counts.add("cache_damaged")


class StoreScrub:
    """Scrubs the store, and says which dataset versions are damaged."""

    def __init__(
        self, engine: Engine, store: Store, instruments: Instruments, bytes_per_second: int
    ) -> None:
        """With 0 bytes a second nothing is scrubbed; damage that others find is reported still."""
        self._engine, self._store, self._instruments = engine, store, instruments
        self._rate = bytes_per_second
        self._scrub = Scrub(lambda: scrub_store(store, self._found), max(1, bytes_per_second))
        self._reported: set[str] = set()

    def loops(self) -> list[Loop]:
        """What a scheduler has to do again and again."""
        report = Loop("report damage", _REPORT_SECONDS, self.report)
        if not self._rate:
            return [report]
        return [report, Loop("scrub the store", _SCRUB_SECONDS, self.scrub)]

    def scrub(self) -> None:
        """Read on. Raises UnavailableError."""
        self._instruments.scrubbed.inc(self._scrub.advance())

    def report(self) -> None:
        """Log what became damaged or was repaired since the last time. Raises UnavailableError."""
        keys = damage.damaged_keys(self._store)
        self._instruments.damaged.set(len(keys))
        new = [key for key in keys if key not in self._reported]
        with reading(self._engine) as session:
            needing = datasets.damaged_versions(session, self._store, new[:_MOST_NAMED])
        for key, versions in needing.items():
            log.error(
                "the store holds damaged bytes: without a sound copy in a cache, "
                "upload the dataset again",
                key=key,
                versions=versions,
            )
        for key in self._reported.difference(keys):
            log.info("bytes of the store are damaged no more", key=key)
        self._reported.difference_update(self._reported.difference(keys))
        self._reported.update(needing)

    def _found(self, key: str) -> None:
        log.error("the scrub found damaged bytes in the store", key=key)
