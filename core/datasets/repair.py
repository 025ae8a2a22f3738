"""Replace damaged bytes of the store by sound copies, and say which versions lack some."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from core.data.storage import damage, local_copy
from core.data.storage.cache import Cache
from core.data.storage.local_copy import chunk_key
from core.data.storage.scrub import is_sound
from core.data.storage.stores import Store
from core.data.table.chunks import SUFFIX
from core.datasets import blobs
from core.datasets.store_locks import keeping
from core.db.tables import DatasetVersion
from core.errors import InvalidError


def repair(engine: Engine, store: Store, cache: Cache) -> list[str]:
    """Replace what is noted as damaged in the store by this machine's copies; the keys repaired.

    May run on any number of machines at once, and be cut short anywhere. Nothing is erased while
    one object is replaced. Raises UnavailableError.
    """
    return [key for key in damage.damaged_keys(store) if _replaced(engine, store, cache, key)]


def damaged_versions(session: Session, store: Store, keys: Sequence[str]) -> dict[str, list[str]]:
    """For each of the damaged `keys` the versions, `name@3`, that need what is under it.

    Reads the manifests of all versions. Raises UnavailableError.
    """
    needing: dict[str, list[str]] = {key: [] for key in keys}
    if not keys:
        return needing
    live = select(DatasetVersion).where(DatasetVersion.erased_at.is_(None))
    for row in session.scalars(live.order_by(DatasetVersion.id)):
        for key in needing.keys() & _keys_of(store, row.digest):
            needing[key].append(f"{row.dataset.name}@{row.version}")
    return needing


def _keys_of(store: Store, digest: str) -> set[str]:
    """What a version is made of in the store."""
    own = {blobs.key_of(digest), local_copy.whole_key(digest)}
    try:
        manifest = local_copy.manifest(store, digest)
    except InvalidError:  # it is damaged itself
        return own
    return own | {chunk_key(one.digest) for one in (manifest.all() if manifest else ())}


def _replaced(engine: Engine, store: Store, cache: Cache, key: str) -> bool:
    """Whether this machine had a copy and it is in the store now."""
    path = PurePosixPath(key)
    if path.suffix == SUFFIX:
        content = cache.manifest(path.stem)
        if content is None:
            return False
        with keeping(engine):
            if damage.noted(store, key):
                store.put_bytes(content, key)
        return _settled(store, key)
    with cache.kept(path.stem) as copy:
        if copy is None:
            return False
        with keeping(engine):
            # It may have been erased since the notes were read.
            if damage.noted(store, key):
                store.put_file(copy, key)
    return _settled(store, key)


def _settled(store: Store, key: str) -> bool:
    """Whether what was written is sound; then the note goes."""
    sound = damage.noted(store, key) and is_sound(store, key)
    if sound:
        damage.clear(store, key)
    return sound
