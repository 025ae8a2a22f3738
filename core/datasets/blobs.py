"""The bytes of dataset versions in the store, named by their digest."""

from core.data.intake import ParsedDataset
from core.data.stores import Store
from core.errors import NotFoundError


def key_of(digest: str) -> str:
    """Where in the store the canonical file with this digest lies."""
    return f"datasets/{digest[:2]}/{digest}.arrow"


def keep(store: Store, parsed: ParsedDataset) -> str:
    """Bring a parsed dataset's bytes to the store, unless they are there; the key.

    Do this before `register`, so that no row ever points to bytes that are missing. Raises
    UnavailableError when the store does not answer or is full.
    """
    key = key_of(parsed.digest)
    try:
        present = store.size(key) == parsed.bytes
    except NotFoundError:
        present = False
    if not present:
        store.put_file(parsed.path, key)
    return key
