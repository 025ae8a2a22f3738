"""Which dataset versions a machine's cache holds whole."""

from core.data.cache import Cache
from core.data.chunks import Manifest

MOST = 256


class Holdings:
    """Looks into a cache again and again; what a version is made of is read once."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._chunks: dict[str, tuple[str, ...]] = {}

    def look(self) -> list[str]:
        """The digests of at most `MOST` versions that are here whole."""
        there = self._cache.versions()
        for gone in set(self._chunks) - there:
            self._chunks.pop(gone, None)
        return sorted(digest for digest in there if self.holds(digest))[:MOST]

    def holds(self, digest: str) -> bool:
        """Whether this version is here whole."""
        chunks = self._chunks.get(digest)
        if chunks is None:
            content = self._cache.manifest(digest)
            if content is None:
                return False
            chunks = tuple(one.digest for one in Manifest.loads(content).all())
            self._chunks[digest] = chunks
        return all(self._cache.fetched(one).exists() for one in chunks)
