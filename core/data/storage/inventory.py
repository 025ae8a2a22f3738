"""The dataset versions that a cache holds completely."""

import time
from collections import defaultdict
from pathlib import Path

from core.data.storage.cache import Cache
from core.data.table.chunks import Manifest

MOST = 256
_SETTLED_NS = 2 * 10**9

Names = frozenset[str]


class Holdings:
    """Reads the contents of a cache repeatedly; a folder is listed only when it changed.

    Manifests are read once.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._chunks: dict[str, dict[Path, Names]] = {}
        self._listed: dict[Path, tuple[int, Names]] = {}

    def look(self) -> list[str]:
        """The digests of at most `MOST` complete versions."""
        there = self._cache.versions()
        for gone in set(self._chunks) - there:
            self._chunks.pop(gone, None)
        seen: dict[Path, Names] = {}
        return sorted(digest for digest in there if self._whole(digest, seen))[:MOST]

    def holds(self, digest: str) -> bool:
        """Whether this version is complete."""
        return self._whole(digest, {})

    def _whole(self, digest: str, seen: dict[Path, Names]) -> bool:
        """Whether a version is complete; listed folders are cached in `seen`."""
        chunks = self._chunks.get(digest) or self._made_of(digest)
        for folder, names in chunks.items():
            if folder not in seen:
                seen[folder] = self._names(folder)
            if not names <= seen[folder]:
                return False
        return bool(chunks)

    def _made_of(self, digest: str) -> dict[Path, Names]:
        """The chunks of a version by folder; empty without its manifest."""
        content = self._cache.manifest(digest)
        if content is None:
            return {}
        by_folder: dict[Path, set[str]] = defaultdict(set)
        for chunk in Manifest.loads(content).all():
            by_folder[self._cache.fetched(chunk.digest).parent].add(chunk.digest)
        chunks = {folder: frozenset(names) for folder, names in by_folder.items()}
        self._chunks[digest] = chunks
        return chunks

    def _names(self, folder: Path) -> Names:
        """The names of the files in a folder."""
        try:
            changed = folder.stat().st_mtime_ns
            if folder in self._listed and self._listed[folder][0] == changed:
                return self._listed[folder][1]
            names = frozenset(path.name for path in folder.iterdir())
        except FileNotFoundError:
            return frozenset()
        # A change right after this one may have the same time: then it is listed again.
        if time.time_ns() - changed > _SETTLED_NS:
            self._listed[folder] = changed, names
        return names
