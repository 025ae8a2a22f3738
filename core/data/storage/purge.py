"""Take erased dataset versions out of a machine's cache, but for chunks that others share."""

from collections.abc import Collection

from core.data.storage.cache import Cache
from core.data.table.chunks import Manifest


def purge(cache: Cache, digests: Collection[str]) -> int:
    """Forget the versions with these digests; how many went. What is in use stays for now."""
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
