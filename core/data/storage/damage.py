"""Which objects of a store were found to be damaged.

damaged/<key>   an empty note that the bytes under <key> are not those of their digest

The damaged bytes stay where they are, because who found them may be the one at fault. The note goes
when an upload or a machine's copy has replaced them, or when they are erased.
"""

from core.data.storage.stores import Store

FOLDER = "damaged"


def note_key(key: str) -> str:
    """Where it is noted that `key` is damaged."""
    return f"{FOLDER}/{key}"


def note(store: Store, key: str) -> None:
    """Note that the bytes under `key` are damaged. Raises UnavailableError."""
    store.put_bytes(b"", note_key(key))


def noted(store: Store, key: str) -> bool:
    """Whether `key` is noted as damaged. Raises UnavailableError."""
    return store.exists(note_key(key))


def clear(store: Store, key: str) -> None:
    """Forget that the bytes under `key` were damaged. Raises UnavailableError."""
    store.delete(note_key(key))


def damaged_keys(store: Store) -> list[str]:
    """The keys that are noted as damaged, in order. Raises UnavailableError."""
    return [key.removeprefix(f"{FOLDER}/") for key in store.keys(FOLDER)]
