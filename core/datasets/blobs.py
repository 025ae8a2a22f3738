"""The bytes of dataset versions in the store: chunks by digest, and a manifest for each version.

datasets/ab/<digest>.chunks   the manifest: which chunks, in order
datasets/ab/<digest>.origin   where the file of a version is that was registered in place
datasets/ab/<digest>.arrow    the whole canonical file, as versions were kept before chunks
chunks/cd/<digest>            a chunk, however many versions hold it
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

PUTTERS = 4


def key_of(digest: str) -> str:
    """Where in the store the manifest of the version with this digest lies."""
    return manifest_key(digest)


def keep(store: Store, parsed: ParsedDataset) -> str:
    """Bring a parsed dataset's bytes to the store, all but those that are there; the key.

    What is there is read and compared: bytes that were damaged meanwhile are replaced. The manifest
    comes first, so that `unheld` sees chunks as held while they arrive. Do this before `register`,
    so that no row ever points to bytes that are missing. Raises UnavailableError when the store
    does not answer or is full.
    """
    key = key_of(parsed.digest)
    manifest = chunks.cut(parsed.path, parsed.digest)
    _put(store, key, manifest.dumps())
    found = chunks.contents(parsed.path, manifest)
    with ThreadPoolExecutor(PUTTERS) as pool:
        # Some at a time: what waits for the store lies in memory.
        while some := list(islice(found, PUTTERS)):
            list(pool.map(lambda one: _put(store, chunk_key(one[0].digest), one[1]), some))
    kept = {key, *(chunk_key(chunk.digest) for chunk in manifest.all())}
    for repaired in kept.intersection(damage.damaged_keys(store)):
        damage.clear(store, repaired)
    return key


def refer(store: Store, reference: Reference) -> None:
    """Note where the file of a version is, unless the store has its bytes.

    Before `register`, as `keep`. Raises UnavailableError.
    """
    if not store.exists(key_of(reference.digest)):
        put_reference(store, reference)


def read(store: Store, digest: str) -> Iterator[bytes]:
    """The canonical Arrow file of a version, a piece at a time, each chunk held against its digest.

    Raises NotFoundError for a version that is not kept, DamagedError for one that is damaged: when
    it was never cut into chunks, only after its last piece.
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
    """The keys of the store that nobody needs once the version `digest` is gone.

    These are its chunks but for those that the manifest of another version lists, its whole file if
    it was kept before there were chunks, notes that they are damaged, and its manifest. Uploads
    that are just being kept have a manifest already, so what they share is not listed. Delete in
    the order given: the manifest comes last, so that a call after an interruption lists what is
    left. Nobody may keep or register the same `digest` meanwhile.
    """
    own = _own(store, digest)
    held = {chunk.digest for other in _others(store, digest) for chunk in other.all()}
    freed = [one.digest for one in own.all() if one.digest not in held] if own else []
    keys = (*map(chunk_key, freed), *_noted(digest))
    notes = [damage.note_key(key) for key in damage.damaged_keys(store) if key in keys]
    return notes + [key for key in keys if store.exists(key)]


def strays(store: Store, live: Iterable[str]) -> list[str]:
    """The keys of dataset bytes that none of the versions with the digests `live` holds.

    Left by uploads that died before they were registered. An upload that is under way looks the
    same: delete only what is listed twice, with longer between than an upload takes.
    """
    staying = set(live)
    held = {key for digest in staying for key in _noted(digest)}
    for digest in staying:
        own = _own(store, digest)
        held.update(chunk_key(one.digest) for one in (own.all() if own else ()))
    notes = [damage.note_key(key) for key in damage.damaged_keys(store) if key not in held]
    kept = [key for folder in ("chunks", "datasets") for key in store.keys(folder)]
    return notes + [key for key in kept if key not in held]


def _noted(digest: str) -> tuple[str, ...]:
    """What the store may have of a version beside chunks; its manifest comes last."""
    return whole_key(digest), reference_key(digest), key_of(digest)


def _own(store: Store, digest: str) -> Manifest | None:
    return local_copy.manifest(store, digest)


def _others(store: Store, digest: str) -> Iterator[Manifest]:
    """The manifests of all other versions in the store."""
    own = key_of(digest)
    for key in store.keys("datasets"):
        if key.endswith(chunks.SUFFIX) and key != own:
            try:
                yield Manifest.loads(store.get_bytes(key))
            except NotFoundError:
                continue


def _put(store: Store, key: str, content: bytes) -> None:
    """Keep bytes unless the very same are there and can be read."""
    with suppress(NotFoundError, UnavailableError):
        if store.size(key) == len(content) and store.get_bytes(key) == content:
            return
    store.put_bytes(content, key)
