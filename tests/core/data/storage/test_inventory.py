"""What a cache holds whole is known without a look at every chunk."""

import os
from pathlib import Path

import pytest

from core.data.storage.cache import Cache
from core.data.storage.inventory import Holdings
from core.data.table.chunks import Chunk, Manifest

VERSION = "d" * 64
CHUNKS = [one * 32 for one in ("a1", "a2", "b1")]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Of one version with three chunks in two folders, which changed long ago."""
    cache = Cache(tmp_path)
    chunks = tuple(Chunk(digest, 4, 1) for digest in CHUNKS)
    cache.keep_manifest(VERSION, Manifest(VERSION, 12, b"", b"", chunks).dumps())
    for digest in CHUNKS:
        place = cache.fetched(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"rows")
        os.utime(place.parent, (1, 1))
    return cache


def test_a_version_is_held_while_all_its_chunks_are_here(cache: Cache) -> None:
    holdings = Holdings(cache)
    place = cache.fetched(CHUNKS[1])
    for _ in range(2):
        assert holdings.look() == [VERSION]
        assert holdings.holds(VERSION)
        place.unlink()
        assert holdings.look() == []
        assert not holdings.holds(VERSION)
        place.write_bytes(b"rows")
    cache.forget_version(VERSION)
    assert holdings.look() == []
    assert not Holdings(cache).holds(VERSION)


def test_a_folder_is_listed_only_when_it_changed(cache: Cache) -> None:
    holdings = Holdings(cache)
    assert holdings.look() == [VERSION]
    cache.fetched(CHUNKS[2]).unlink()
    os.utime(cache.fetched(CHUNKS[2]).parent, (1, 1))
    assert holdings.look() == [VERSION]  # nothing tells of the change
    assert Holdings(cache).look() == []
