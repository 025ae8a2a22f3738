"""Remove erased dataset versions from a cache, except chunks that other versions share."""

from collections.abc import Collection

from core.data.storage.cache import Cache
from core.data.table.chunks import Manifest


def purge(cache: Cache, digests: Collection[str]) -> int:
    """Remove the versions with these digests. Returns how many; versions in use stay for now."""
    kept = cache.versions()
    gone = [digest for digest in digests if digest in kept]
    shared = {
        chunk.digest
        for digest in kept - set(gone)
        if (content := cache.manifest(digest)) is not None
        for chunk in Manifest.loads(content).all()
    }
    done = 0
    for digest in gone:
        content = cache.manifest(digest)
        if not cache.forget_version(digest):
            continue
        done += 1
        for chunk in Manifest.loads(content).all() if content is not None else ():
            if chunk.digest not in shared:
                cache.forget(chunk.digest)
    return done + sum(cache.forget(digest) for digest in digests if cache.has(digest))
