"""Repair of damaged bytes in the store from cached copies, and the versions affected."""

from collections.abc import Callable, Sequence
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
    """Replace objects that are noted as damaged by this node's copies; return the keys repaired.

    May run on several nodes at once and be interrupted anywhere. Nothing is erased while an object
    is replaced. Raises UnavailableError.
    """
    return [key for key in damage.damaged_keys(store) if _replace(engine, store, cache, key)]


def damaged_versions(session: Session, store: Store, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the versions (`name@3`) that contain each of the damaged `keys`.

    Reads the manifests of all versions. Raises UnavailableError.
    """
    affected: dict[str, list[str]] = {key: [] for key in keys}
    if not keys:
        return affected
    live = select(DatasetVersion).where(DatasetVersion.erased_at.is_(None))
    for row in session.scalars(live.order_by(DatasetVersion.id)):
        for key in affected.keys() & _keys_of(store, row.digest):
            affected[key].append(f"{row.dataset.name}@{row.version}")
    return affected


def _keys_of(store: Store, digest: str) -> set[str]:
    """Return the keys of a version in the store."""
    own = {blobs.key_of(digest), local_copy.whole_key(digest)}
    try:
        manifest = local_copy.manifest(store, digest)
    except InvalidError:  # the manifest itself is damaged
        return own
    return own | {chunk_key(chunk.digest) for chunk in (manifest.all() if manifest else ())}


def _replace(engine: Engine, store: Store, cache: Cache, key: str) -> bool:
    """Replace an object if this node has a sound copy; return whether it was replaced."""
    path = PurePosixPath(key)
    if path.suffix == SUFFIX:
        content = cache.manifest(path.stem)
        return content is not None and _write(
            engine, store, key, lambda: store.put_bytes(content, key)
        )
    with cache.kept(path.stem) as copy:
        return copy is not None and _write(engine, store, key, lambda: store.put_file(copy, key))


def _write(engine: Engine, store: Store, key: str, put: Callable[[], None]) -> bool:
    """Call `put` unless the object was erased; return whether the object is sound now."""
    with keeping(engine):
        # The version may have been erased since the notes were read.
        if damage.noted(store, key):
            put()
    sound = damage.noted(store, key) and is_sound(store, key)
    if sound:
        damage.clear(store, key)
    return sound
