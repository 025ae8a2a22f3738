"""Bytes of dataset versions in the store: chunks by digest, and a manifest for each version.

datasets/ab/<digest>.chunks   manifest: the chunks of a version in order
datasets/ab/<digest>.origin   location of the file of a version registered in place
datasets/ab/<digest>.arrow    whole canonical file of a version kept before there were chunks
chunks/cd/<digest>            chunk, shared by all versions that contain it
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

from core.data.ingest.parser import ParsedDataset
from core.data.storage import damage, local_copy
from core.data.storage.inplace import Reference, put_reference, reference_key
from core.data.storage.local_copy import chunk_key, manifest_key, whole_key
from core.data.storage.stores import BLOCK_BYTES, Store
from core.data.table import chunks
from core.data.table.chunks import Manifest
from core.errors import DamagedError, NotFoundError, UnavailableError

_THREADS = 4


def key_of(digest: str) -> str:
    """Return the key of the manifest of the version with this digest."""
    return manifest_key(digest)


def keep(store: Store, parsed: ParsedDataset) -> str:
    """Write the bytes of a parsed dataset that the store lacks; return the key of its manifest.

    Present bytes are read and compared, and replaced if they are damaged. The manifest is written
    first, so that `unheld` counts the chunks as used while they are written. Call this before
    `register`, so that no row refers to missing bytes. Raises UnavailableError when the store does
    not answer or is full.
    """
    key = key_of(parsed.digest)
    manifest = chunks.cut(parsed.path, parsed.digest)
    _put(store, key, manifest.dumps())
    contents = chunks.contents(parsed.path, manifest)
    with ThreadPoolExecutor(_THREADS) as pool:
        # A few at a time: chunks that wait for the store are in memory.
        while batch := list(islice(contents, _THREADS)):
            list(pool.map(lambda item: _put(store, chunk_key(item[0].digest), item[1]), batch))
    kept = {key, *(chunk_key(chunk.digest) for chunk in manifest.all())}
    for repaired in kept.intersection(damage.damaged_keys(store)):
        damage.clear(store, repaired)
    return key


def refer(store: Store, reference: Reference) -> None:
    """Store the location of a version's file, unless the store has its bytes.

    Call this before `register`, as `keep`. Raises UnavailableError.
    """
    if not store.exists(key_of(reference.digest)):
        put_reference(store, reference)


def read(store: Store, digest: str) -> Iterator[bytes]:
    """Yield the canonical Arrow file of a version in pieces, each chunk verified by its digest.

    Raises NotFoundError for a version that is not kept and DamagedError for a damaged one; without
    chunks only after the last piece.
    """
    manifest = local_copy.manifest(store, digest)
    if manifest is None:
        whole = hashlib.sha256()
        with store.open(whole_key(digest)) as source:
            while block := source.read(BLOCK_BYTES):
                whole.update(block)
                yield block
        if whole.hexdigest() != digest:
            raise DamagedError("the store holds other bytes for a dataset than its digest")
        return
    yield manifest.head
    for chunk in manifest.chunks:
        content = store.get_bytes(chunk_key(chunk.digest))
        if chunks.sha256(content) != chunk.digest:
            raise DamagedError("the store holds other bytes for a dataset's chunk than its digest")
        yield content
    yield manifest.tail


def unheld(store: Store, digest: str) -> list[str]:
    """Return the keys of the store that are unused once the version `digest` is gone.

    These are its chunks that no other manifest lists, its whole file if it has one, damage notes
    on them, and its manifest. Uploads in progress have a manifest, so chunks that they share are
    not listed. Delete in the given order: the manifest comes last, so that a call after an
    interruption lists the rest. `digest` must not be kept or registered at the same time.
    """
    own = _manifest(store, digest)
    held = {chunk.digest for other in _others(store, digest) for chunk in other.all()}
    freed = [chunk.digest for chunk in own.all() if chunk.digest not in held] if own else []
    keys = (*map(chunk_key, freed), *_own_keys(digest))
    notes = [damage.note_key(key) for key in damage.damaged_keys(store) if key in keys]
    return notes + [key for key in keys if store.exists(key)]


def strays(store: Store, live: Iterable[str]) -> list[str]:
    """Return the keys of dataset bytes that no version with a digest in `live` uses.

    Uploads that died before they were registered leave them. An upload in progress looks the same:
    delete only keys that are listed twice, with more time in between than an upload takes.
    """
    digests = set(live)
    held = {key for digest in digests for key in _own_keys(digest)}
    for digest in digests:
        own = _manifest(store, digest)
        held.update(chunk_key(chunk.digest) for chunk in (own.all() if own else ()))
    notes = [damage.note_key(key) for key in damage.damaged_keys(store) if key not in held]
    kept = [key for folder in ("chunks", "datasets") for key in store.keys(folder)]
    return notes + [key for key in kept if key not in held]


def _own_keys(digest: str) -> tuple[str, ...]:
    """Return the keys of a version other than its chunks; its manifest comes last."""
    return whole_key(digest), reference_key(digest), key_of(digest)


def _manifest(store: Store, digest: str) -> Manifest | None:
    return local_copy.manifest(store, digest)


def _others(store: Store, digest: str) -> Iterator[Manifest]:
    """Yield the manifests of all other versions in the store."""
    own = key_of(digest)
    for key in store.keys("datasets"):
        if key.endswith(chunks.SUFFIX) and key != own:
            try:
                yield Manifest.loads(store.get_bytes(key))
            except NotFoundError:
                continue


def _put(store: Store, key: str, content: bytes) -> None:
    """Write bytes unless equal ones are there and readable."""
    with suppress(NotFoundError, UnavailableError):
        if store.size(key) == len(content) and store.get_bytes(key) == content:
            return
    store.put_bytes(content, key)
