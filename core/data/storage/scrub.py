"""Read stores and caches slowly and repeatedly, to find flipped bits.

A pass reads all files in order from a random one. So processes that restart often read all of them
in the long run, and several processes do no harm.
"""

import random
import time
from collections.abc import Callable, Generator, Iterator

from core.data.storage import damage
from core.data.storage.cache import DIGEST, Cache
from core.data.storage.integrity import drained, hashing
from core.data.storage.stores import Store
from core.data.table.chunks import SUFFIX, Manifest
from core.errors import InvalidError, NotFoundError, UnavailableError

FOLDERS = ("chunks", "datasets")
PASS_SECONDS = 6 * 3600.0
"""The least time between the starts of two passes."""
SLACK_SECONDS = 1.0

Found = Callable[[str], None]


class Scrub:
    """Repeats passes that read, limited to a number of bytes per second.

    `work` returns one pass: an iterator over the numbers of bytes just read.
    """

    def __init__(
        self,
        work: Callable[[], Iterator[int]],
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work, self._rate, self._clock = work, bytes_per_second, clock
        self._pass: Iterator[int] = iter(())
        self._next_pass_at = self._waits_until = clock()

    def advance(self) -> int:
        """Read as much as the time since the last call allows. Returns the bytes read.

        Reads for at most a second. Raises errors of the pass; the next call starts another pass.
        """
        done = 0
        ends_at = self._clock() + SLACK_SECONDS
        while self._waits_until <= self._clock() < ends_at:
            read = next(self._pass, None)
            if read is None:
                if self._clock() < self._next_pass_at:
                    break
                self._next_pass_at = self._clock() + PASS_SECONDS
                self._pass = self._work()
            else:
                done += read
                self._wait_for(read)
        return done

    def _wait_for(self, read: int) -> None:
        """Account for the time that so many bytes take; unused time is not saved."""
        begin = max(self._waits_until, self._clock() - SLACK_SECONDS)
        self._waits_until = begin + read / self._rate


def scrub_cache(cache: Cache, report: Found) -> Iterator[int]:
    """Read every file of a cache once. Calls `report` for each damaged one, which is quarantined.

    Yields the number of bytes just read. Raises UnavailableError.
    """
    for digest in _from_anywhere(cache.digests()):
        if not (yield from cache.examine(digest)):
            report(digest)


def scrub_store(store: Store, report: Found) -> Iterator[int]:
    """Read all bytes of dataset versions once. Marks damaged keys and calls `report` with them.

    A mark on undamaged or missing bytes is removed. Yields the number of bytes just read. Raises
    UnavailableError.
    """
    for key in _from_anywhere([key for folder in FOLDERS for key in store.keys(folder)]):
        # Read twice, because the first read may have failed rather than the storage.
        sound = yield from _read(store, key)
        if sound is False:
            sound = yield from _read(store, key)
        if sound is False and not damage.noted(store, key):
            damage.note(store, key)
            report(key)
    for key in damage.damaged_keys(store):
        if (yield from _read(store, key)) is not False:
            damage.clear(store, key)


def is_sound(store: Store, key: str) -> bool:
    """Whether the bytes under `key` exist and match their digest.

    Raises UnavailableError.
    """
    return drained(_examine(store, key)) is True


def _read(store: Store, key: str) -> Generator[int, None, bool | None]:
    """As `_examine`; unreadable bytes count as damaged.

    When the store does not answer at all, the mark cannot be written either.
    """
    try:
        return (yield from _examine(store, key))
    except UnavailableError:
        return False


def _examine(store: Store, key: str) -> Generator[int, None, bool | None]:
    """Whether the bytes under `key` match their digest; None for a key without one."""
    name = key.rpartition("/")[2]
    digest = name.partition(".")[0]
    if not DIGEST.fullmatch(digest) or name.endswith(".origin"):
        return None
    try:
        if name.endswith(SUFFIX):
            content = store.get_bytes(key)
            yield len(content)
            return _is_manifest(content, digest)
        with store.open(key) as source:
            return (yield from hashing(source.read)) == digest
    except NotFoundError:  # erased meanwhile
        return None


def _is_manifest(content: bytes, digest: str) -> bool:
    try:
        Manifest.loads(content, digest)
    except InvalidError:
        return False
    return True


def _from_anywhere(names: list[str]) -> list[str]:
    """The names in order, starting at a random one."""
    start = random.randrange(len(names)) if names else 0
    return names[start:] + names[:start]
