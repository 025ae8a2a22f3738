"""Chunks from other workers, so that many machines do not pull many copies from the store.

Each chunk has a home among the workers, chosen by rendezvous hashing (Thaler and Ravishankar,
1998). All workers ask the home, and only the home asks the store. A peer that does not answer is
skipped, and the bytes of a peer are verified like those of the store.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import Self

import httpx

from core.data.storage.local_copy import chunk_key
from core.data.storage.stores import BLOCK_BYTES, Reading, Store
from core.data.table.chunks import Manifest
from core.errors import UnavailableError

CONNECT_SECONDS = 2.0
READ_SECONDS = 60.0
REST_SECONDS = 30.0
"""Time after a failure during which a peer is skipped."""


class Peers:
    """A client of workers that share their caches; `own` is the address of this worker."""

    def __init__(self, own: str, token: str) -> None:
        self._own = own
        self._failed_at: dict[str, float] = {}
        # Without proxies and redirects, so that only these addresses receive the token.
        self._http = httpx.Client(
            trust_env=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"Authorization": f"Bearer {token}"},
        )

    def home(self, digest: str, urls: Sequence[str]) -> str | None:
        """The peer of `urls` to ask for a chunk; None for the store.

        It is None when this worker is the home of the chunk, or the home has just failed.
        """
        known = {*urls, self._own}
        home = max(known, key=lambda url: hashlib.sha256(f"{url} {digest}".encode()).digest())
        rests = time.monotonic() < self._failed_at.get(home, -REST_SECONDS) + REST_SECONDS
        return None if home == self._own or rests else home

    def given(self, home: str, version: str, digest: str, start: int) -> Generator[bytes]:
        """The bytes of a chunk from `home`. Raises UnavailableError unless all arrive."""
        url = f"{home}/versions/{version}/chunks/{digest}"
        try:
            with self._http.stream("GET", url, headers={"Range": f"bytes={start}-"}) as answer:
                if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    raise UnavailableError(f"a peer answered {answer.status_code}")
                yield from answer.iter_raw(BLOCK_BYTES)
        except httpx.HTTPError as error:
            self._failed_at[home] = time.monotonic()
            raise UnavailableError(f"a peer does not answer: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Near:
    """The chunks of one version, each from a peer at `urls` if it has it, or from the store.

    A second request for a chunk goes to the store, because the bytes of the peer were damaged.
    """

    def __init__(self, peers: Peers, urls: Sequence[str], store: Store, manifest: Manifest) -> None:
        self._peers, self._urls = peers, urls
        self._store, self._version = store, manifest.digest
        self._chunks = {chunk_key(chunk.digest): chunk for chunk in manifest.chunks}
        self._asked: set[str] = set()

    def size(self, key: str) -> int:
        """The size in bytes of the chunk under a key of the store."""
        return self._chunks[key].size

    def open(self, key: str, start: int = 0) -> "Reading | _FromPeer":
        """Its bytes from byte `start` on. Raises as the store does."""
        digest = self._chunks[key].digest
        home = None if key in self._asked else self._peers.home(digest, self._urls)
        self._asked.add(key)
        if home is None:
            return self._store.open(key, start)
        given = self._peers.given(home, self._version, digest, start)
        return _FromPeer(given, lambda at: self._store.open(key, at), start)


class _FromPeer:
    """Bytes from a peer; when it fails, the rest comes from the store."""

    def __init__(
        self, given: Generator[bytes], from_store: Callable[[int], Reading], start: int
    ) -> None:
        self._given, self._from_store, self._at = given, from_store, start
        self._rest: Reading | None = None

    def read(self, size: int = -1) -> bytes:
        """Some of the next bytes, at most `size` or `BLOCK_BYTES`; empty at the end."""
        if self._rest is None:
            try:
                block = next(self._given, b"")
            except UnavailableError:
                self._rest = self._from_store(self._at)
            else:
                self._at += len(block)
                return block
        return self._rest.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._given.close()
        if self._rest is not None:
            self._rest.__exit__()
