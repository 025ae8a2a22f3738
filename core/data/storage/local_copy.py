"""A dataset version on this machine: its chunks are fetched into the cache and held while used."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from core.data.storage import damage
from core.data.storage.cache import Cache
from core.data.storage.inplace import AtOrigin, find_reference
from core.data.storage.source import Source
from core.data.storage.stores import Store
from core.data.table.chunks import SUFFIX, Chunk, Manifest, digest_of
from core.errors import ChainruleError, DamagedError, InvalidError, NotFoundError

FETCHERS = 4
Nearer = Callable[[Store, Manifest], Source]


def manifest_key(digest: str) -> str:
    """The key of the manifest of a version in the store."""
    return f"datasets/{digest[:2]}/{digest}{SUFFIX}"


def whole_key(digest: str) -> str:
    """The key of the canonical file of a version that is stored without chunks."""
    return f"datasets/{digest[:2]}/{digest}.arrow"


def chunk_key(digest: str) -> str:
    """The key of a chunk in the store."""
    return f"chunks/{digest[:2]}/{digest}"


def manifest(store: Store, digest: str) -> Manifest | None:
    """The manifest of a version; None for a version that is stored without chunks."""
    try:
        return Manifest.loads(store.get_bytes(manifest_key(digest)), digest)
    except NotFoundError:
        return None


class Copy:
    """The local copy of a version while it is used.

    `core.data.table.reader.load` reads `path`. Chunks are not evicted until the copy is closed.
    """

    def __init__(
        self, cache: Cache, store: Store, digest: str, nearer: Nearer | None = None
    ) -> None:
        """`nearer` returns a source of chunks to try before the store.

        Raises NotFoundError or UnavailableError as the store does, InvalidError for damage.
        """
        self._cache, self._digest = cache, digest
        self._store = store
        self._source: Source = store
        self._stack = ExitStack()
        self.manifest: Manifest | None = None
        with ExitStack() as stack:
            stack.enter_context(cache.pinned(digest))
            content = cache.manifest(digest)
            if content is None:
                try:
                    content = store.get_bytes(manifest_key(digest))
                except NotFoundError:
                    self.path: Path = stack.enter_context(self._whole(store))
            if content is not None:
                try:
                    self.manifest = Manifest.loads(content, digest)
                except DamagedError:
                    _note(store, manifest_key(digest))
                    raise
                self.path = cache.keep_manifest(digest, content)
                if nearer is not None:
                    self._source = nearer(store, self.manifest)
            self._stack = stack.pop_all()

    def _whole(self, store: Store) -> AbstractContextManager[Path]:
        """The canonical file of a version without chunks, from the store or its origin."""
        cache, digest = self._cache, self._digest
        source: Source = store
        if (reference := find_reference(store, digest)) is not None:
            source = AtOrigin(reference, cache.readable, partial(cache.workspace, digest))
        return cache.held(source, whole_key(digest), digest)

    def fetch(self) -> bool:
        """Fetch all missing chunks. Returns whether any was missing.

        Raises as the store does, UnavailableError when the disk is full, DamagedError when the
        store has other bytes of a chunk.
        """
        missing = self.missing()
        failed = threading.Event()

        def bring(chunk: Chunk) -> None:
            if failed.is_set():
                return
            try:
                self.bring(chunk)
            except ChainruleError:
                failed.set()  # skip the remaining chunks
                raise

        with ThreadPoolExecutor(FETCHERS) as pool:
            for _ in pool.map(bring, missing):
                pass
        return bool(missing)

    def missing(self) -> list[Chunk]:
        """The chunks that are missing or damaged, in order.

        Reads the chunks that this process has not verified.
        """
        chunks = self.manifest.all() if self.manifest is not None else ()
        unknown = [chunk for chunk in chunks if not self._cache.knows(chunk.digest)]
        with ThreadPoolExecutor(FETCHERS) as pool:
            sound = list(pool.map(lambda chunk: self._cache.check(chunk.digest), unknown))
        return [chunk for chunk, here in zip(unknown, sound, strict=True) if not here]

    def bring(self, chunk: Chunk) -> Path:
        """Fetch a chunk unless it is cached. Returns its path. Raises as `fetch` does.

        A chunk that is damaged in the store is marked there, so that others repair it.
        """
        key = chunk_key(chunk.digest)
        try:
            return self._cache.fetch(self._source, key, chunk.digest)
        except DamagedError:
            _note(self._store, key)
            raise

    def verify(self) -> None:
        """Verify the digest of the version. Raises InvalidError."""
        if self.manifest is not None:
            paths = [self._cache.fetched(chunk.digest) for chunk in self.manifest.chunks]
            actual = digest_of(self.manifest, (path.read_bytes() for path in paths))
            if actual != self._digest:
                raise InvalidError("the chunks of the dataset do not make up its digest")

    def close(self) -> None:
        """Allow the cache to evict the chunks."""
        self._stack.close()


def _note(store: Store, key: str) -> None:
    """Mark bytes of the store as damaged, if it can be written; a scrub finds them, too."""
    with suppress(ChainruleError):
        damage.note(store, key)


@contextmanager
def held(cache: Cache, store: Store, digest: str, nearer: Nearer | None = None) -> Iterator[Path]:
    """The path of a complete local copy, for `core.data.table.reader.load`, within the context."""
    copy = Copy(cache, store, digest, nearer)
    try:
        if copy.fetch():
            copy.verify()
        yield copy.path
    finally:
        copy.close()
