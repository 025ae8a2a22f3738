"""A scrub finds bits that flipped, in a cache and in a store, and reads no faster than it may."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.data.storage import damage, local_copy
from core.data.storage.cache import Cache
from core.data.storage.scrub import PASS_SECONDS, Scrub, is_sound, scrub_cache, scrub_store
from core.data.storage.stores import Store, open_store
from core.data.table import chunks
from core.data.table.chunks import Manifest
from core.errors import DamagedError, UnavailableError


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A folder, or S3 for tests that ask for it."""
    if getattr(request, "param", "file") == "s3":
        return open_store(request.getfixturevalue("s3_url"), {"skip_instance_cache": True})
    return open_store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def version(store: Store, tmp_path: Path) -> Manifest:
    """A version of five chunks in the store."""
    path = tmp_path / "whole.arrow"
    table = pa.table({"x": range(5000)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    manifest = chunks.cut(path, chunks.sha256(path.read_bytes()))
    store.put_bytes(manifest.dumps(), local_copy.manifest_key(manifest.digest))
    for chunk, content in chunks.contents(path, manifest):
        store.put_bytes(content, local_copy.chunk_key(chunk.digest))
    return manifest


def rot(store: Store, key: str) -> None:
    """Flip a bit of what the store keeps."""
    content = bytearray(store.get_bytes(key))
    content[len(content) // 2] ^= 1
    store.put_bytes(bytes(content), key)


def scrubbed(store: Store) -> list[str]:
    found: list[str] = []
    for _ in scrub_store(store, found.append):
        pass
    return found


def whole_file(store: Store) -> str:
    """Where a version lies that was kept before there were chunks."""
    content = os.urandom(3_000_000)
    key = local_copy.whole_key(hashlib.sha256(content).hexdigest())
    store.put_bytes(content, key)
    return key


@pytest.mark.usefixtures("version")
def test_what_is_sound_is_left_alone(store: Store) -> None:
    whole_file(store)
    store.put_bytes(b"{}", f"datasets/aa/{'a' * 64}.origin")
    before = store.keys()
    assert scrubbed(store) == []
    assert store.keys() == before


@pytest.mark.parametrize("store", ["file", "s3"], indirect=True)
def test_flipped_bits_of_a_store_are_noted_once_and_stay(store: Store, version: Manifest) -> None:
    damaged = [
        local_copy.chunk_key(version.chunks[2].digest),
        local_copy.manifest_key(version.digest),
        whole_file(store),
    ]
    for key in damaged:
        rot(store, key)
    kept = {key: store.get_bytes(key) for key in damaged}
    assert sorted(scrubbed(store)) == sorted(damaged)
    assert damage.damaged_keys(store) == sorted(damaged)
    assert {key: store.get_bytes(key) for key in damaged} == kept
    assert scrubbed(store) == [], "it is said once"
    assert damage.damaged_keys(store) == sorted(damaged)
    assert not any(is_sound(store, key) for key in damaged)


def test_a_note_about_sound_bytes_or_none_goes(store: Store, version: Manifest) -> None:
    sound = local_copy.chunk_key(version.chunks[0].digest)
    damage.note(store, sound)
    damage.note(store, local_copy.chunk_key("a" * 64))
    assert scrubbed(store) == []
    assert damage.damaged_keys(store) == []


def test_bytes_that_are_wrong_only_once_are_no_damage(
    store: Store, version: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = local_copy.chunk_key(version.chunks[0].digest)
    real, wrong = type(store).open, [True]

    def opened(self: Store, asked: str, start: int = 0) -> Any:
        return real(self, asked, start=1 if asked == key and wrong and wrong.pop() else start)

    monkeypatch.setattr(type(store), "open", opened)
    assert scrubbed(store) == []
    assert not wrong
    assert damage.damaged_keys(store) == []


def test_bytes_that_cannot_be_read_are_noted_unless_the_store_is_away(
    store: Store, version: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = local_copy.chunk_key(version.chunks[0].digest)
    opened, write = type(store).open, type(store).put_bytes

    def unreadable(self: Store, asked: str, start: int = 0) -> Any:
        if asked == key:
            raise UnavailableError("the store refuses: Input/output error")
        return opened(self, asked, start)

    def away(*_: Any) -> None:
        raise UnavailableError("the store does not answer")

    monkeypatch.setattr(type(store), "open", unreadable)
    monkeypatch.setattr(type(store), "put_bytes", away)
    with pytest.raises(UnavailableError, match="does not answer"):
        scrubbed(store)
    monkeypatch.setattr(type(store), "put_bytes", write)
    assert scrubbed(store) == [key]
    assert damage.damaged_keys(store) == [key]


def test_who_fetches_damaged_bytes_names_and_notes_them(
    store: Store, version: Manifest, tmp_path: Path
) -> None:
    chunk = version.chunks[1]
    rot(store, local_copy.chunk_key(chunk.digest))
    with (
        pytest.raises(DamagedError, match=chunk.digest),
        local_copy.held(Cache(tmp_path / "cache"), store, version.digest),
    ):
        pass
    assert damage.damaged_keys(store) == [local_copy.chunk_key(chunk.digest)]
    rot(store, local_copy.manifest_key(version.digest))
    with (
        pytest.raises(DamagedError, match="list of a dataset's chunks"),
        local_copy.held(Cache(tmp_path / "other"), store, version.digest),
    ):
        pass
    assert local_copy.manifest_key(version.digest) in damage.damaged_keys(store)


def test_flipped_bits_of_a_cache_are_dropped_and_fetched_again(
    store: Store, version: Manifest, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    with local_copy.held(cache, store, version.digest):
        pass
    paths = [cache.fetched(one.digest) for one in version.chunks]
    before = [path.read_bytes() for path in paths]
    used = [path.stat().st_atime_ns for path in paths]
    status, content = paths[3].stat(), bytearray(before[3])
    content[100] ^= 1
    paths[3].write_bytes(content)
    os.utime(paths[3], ns=(status.st_atime_ns, status.st_mtime_ns))
    found: list[str] = []
    read = sum(scrub_cache(cache, found.append))
    assert found == [version.chunks[3].digest]
    assert read >= sum(len(one) for one in before)
    assert [path.exists() for path in paths] == [True, True, True, False, True]
    untouched = [path.stat().st_atime_ns for path in paths if path.exists()]
    assert untouched == used[:3] + used[4:], "reading it is no use of it"
    with local_copy.held(cache, store, version.digest):
        assert [path.read_bytes() for path in paths] == before


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_scrub_reads_so_many_bytes_a_second_and_rests_after_a_pass() -> None:
    clock, passes = Clock(), []

    def work() -> Iterator[int]:
        passes.append(clock.now)
        yield from [100] * 50

    scrub = Scrub(work, 10, clock)
    read = 0
    for _ in range(600):
        read += scrub.advance()
        clock.now += 1
    assert read == 5000
    assert passes == [1000.0]
    while len(passes) == 1:
        clock.now += 60
        scrub.advance()
    assert passes[1] - passes[0] >= PASS_SECONDS


def test_a_scrub_that_cannot_keep_up_lets_go_after_a_second() -> None:
    clock = Clock()

    def work() -> Iterator[int]:
        while True:
            clock.now += 0.5
            yield 1

    assert Scrub(work, 2**40, clock).advance() == 2


def test_a_scrub_goes_on_after_an_error() -> None:
    clock, calls = Clock(), []

    def work() -> Iterator[int]:
        calls.append(1)
        yield 10
        if len(calls) == 1:
            raise UnavailableError("the store does not answer")
        yield 20

    scrub = Scrub(work, 1, clock)
    assert scrub.advance() == 10
    clock.now += 10
    with pytest.raises(UnavailableError):
        scrub.advance()
    clock.now += PASS_SECONDS
    assert scrub.advance() == 10
    clock.now += 10
    assert scrub.advance() == 20
