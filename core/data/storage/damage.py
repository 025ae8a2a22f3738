"""Marks in a store for objects that are damaged.

damaged/<key>   an empty note that the bytes under <key> are not those of their digest

The damaged bytes stay, because the process that read them may be at fault. The note is removed when
an upload or the copy of a machine has replaced them, or when they are erased.
"""

from core.data.storage.stores import Store

FOLDER = "damaged"


def note_key(key: str) -> str:
    """The key of the note that `key` is damaged."""
    return f"{FOLDER}/{key}"


def note(store: Store, key: str) -> None:
    """Write a note that the bytes under `key` are damaged. Raises UnavailableError."""
    store.put_bytes(b"", note_key(key))


def noted(store: Store, key: str) -> bool:
    """Whether there is a note that `key` is damaged. Raises UnavailableError."""
    return store.exists(note_key(key))


def clear(store: Store, key: str) -> None:
    """Remove the note that `key` is damaged. Raises UnavailableError."""
    store.delete(note_key(key))


def damaged_keys(store: Store) -> list[str]:
    """The damaged keys, in order. Raises UnavailableError."""
    return [key.removeprefix(f"{FOLDER}/") for key in store.keys(FOLDER)]
