"""The cache fetches once, verifies, makes room, resumes, and shows no file that is not whole."""

import errno
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from core.data.storage import cache as module
from core.data.storage import integrity
from core.data.storage.cache import Cache
from core.data.storage.source import Blocks
from core.data.storage.stores import open_store
from core.errors import (
    DamagedError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)


class CountingStore:
    """A real store that counts how often and how much is read, and may be slow or break."""

    def __init__(self, url: str) -> None:
        self.kept = open_store(url)
        self.opened: list[int] = []
        self.break_after: int | None = None
        self.pause = 0.0

    def size(self, key: str) -> int:
        return self.kept.size(key)

    def open(self, key: str, start: int = 0) -> "CountingReading":
        self.opened.append(start)
        return CountingReading(self, self.kept.open(key, start))


class CountingReading:
    def __init__(self, store: "CountingStore", reading: Blocks) -> None:
        self.store, self.reading, self.sent = store, reading, 0

    def read(self, size: int) -> bytes:
        if self.store.break_after is not None and self.sent >= self.store.break_after:
            raise UnavailableError("the store does not answer: cut")
        time.sleep(self.store.pause)
        block = self.reading.read(size)
        self.sent += len(block)
        return block

    def __enter__(self) -> "CountingReading":
        return self

    def __exit__(self, *_: Any) -> None:
        self.reading.__exit__()


@pytest.fixture
def store(tmp_path: Path) -> "CountingStore":
    return CountingStore(f"file://{tmp_path / 'store'}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def keep(store: CountingStore, content: bytes) -> tuple[str, str]:
    digest = hashlib.sha256(content).hexdigest()
    store.kept.put_bytes(content, f"datasets/{digest}")
    return f"datasets/{digest}", digest


def files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "objects").rglob("*") if path.is_file())


def test_fetches_once(store: CountingStore, root: Path) -> None:
    key, digest = keep(store, b"x" * 3_000_000)
    path = Cache(root).fetch(store, key, digest)
    assert path.read_bytes() == b"x" * 3_000_000
    assert Cache(root).fetch(store, key, digest) == path
    assert store.opened == [0]


def test_many_threads_fetch_once(store: CountingStore, root: Path) -> None:
    key, digest = keep(store, os.urandom(2_000_000))
    store.pause = 0.01
    caches = [Cache(root) for _ in range(8)]
    threads = [threading.Thread(target=one.fetch, args=(store, key, digest)) for one in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.opened == [0]
    assert files(root) == [digest]


@pytest.mark.parametrize("how", ["flipped", "cut", "grown"])
def test_damage_is_found_and_repaired(store: CountingStore, root: Path, how: Any) -> None:
    content = os.urandom(100_000)
    key, digest = keep(store, content)
    cache = Cache(root)
    path = cache.fetch(store, key, digest)
    damaged = {
        "flipped": bytes([content[0] ^ 1]) + content[1:],
        "cut": content[:-1],
        "grown": content + b"x",
    }[how]
    path.write_bytes(damaged)
    for one in (cache, Cache(root)):
        assert one.fetch(store, key, digest).read_bytes() == content
    assert store.opened == [0, 0]
    assert [path.read_bytes() for path in (root / "quarantine").iterdir()] == [damaged]


def flip(path: Path) -> bytes:
    """Change a bit of a file as a disk does: size and times stay. What it holds then."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return bytes(content)


def test_a_flipped_bit_is_found_by_the_next_process(store: CountingStore, root: Path) -> None:
    content = os.urandom(100_000)
    key, digest = keep(store, content)
    rotten = flip(Cache(root).fetch(store, key, digest))
    assert Cache(root).fetch(store, key, digest).read_bytes() == content
    assert store.opened == [0, 0]
    assert [path.read_bytes() for path in (root / "quarantine").iterdir()] == [rotten]


def test_a_file_is_read_once_by_each_process(store: CountingStore, root: Path) -> None:
    key, digest = keep(store, os.urandom(100_000))
    cache = Cache(root)
    path = cache.fetch(store, key, digest)
    other = Cache(root)
    assert not other.knows(digest)
    assert other.check(digest)
    assert other.knows(digest)
    flip(path)
    assert other.fetch(store, key, digest) == path, "it is not read again"
    assert Cache(root).check(digest) is False
    assert not other.knows(digest)


def test_a_place_of_the_disk_that_cannot_be_read_is_damage(
    store: CountingStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3_000_000)
    key, digest = keep(store, content)
    Cache(root).fetch(store, key, digest)
    real, errors = integrity.hashing, [errno.EIO, errno.EIO]

    def hashing(read: Any) -> Generator[int, None, str]:
        if errors:
            raise OSError(errors.pop(), "cannot read")
        return (yield from real(read))

    monkeypatch.setattr(integrity, "hashing", hashing)
    assert Cache(root).fetch(store, key, digest).read_bytes() == content
    assert store.opened == [0, 0]
    errors.append(errno.EMFILE)
    with pytest.raises(UnavailableError, match="cannot be read"):
        Cache(root).fetch(store, key, digest)
    assert Cache(root).check(digest), "a lack of file handles is no damage"


def test_a_store_with_other_bytes_is_refused(store: CountingStore, root: Path) -> None:
    key, _ = keep(store, b"what it is")
    with pytest.raises(DamagedError, match="other bytes"):
        Cache(root).fetch(store, key, hashlib.sha256(b"what it should be").hexdigest())
    assert files(root) == []
    assert list((root / "partial").iterdir()) == []


def test_a_cut_download_goes_on_where_it_stopped(store: CountingStore, root: Path) -> None:
    content = os.urandom(5_000_000)
    key, digest = keep(store, content)
    store.break_after = 2_000_000
    with pytest.raises(UnavailableError, match="cut"):
        Cache(root).fetch(store, key, digest)
    assert files(root) == []
    store.break_after = None
    assert Cache(root).fetch(store, key, digest).read_bytes() == content
    assert store.opened == [0, 2 * 2**20]


def test_a_broken_beginning_is_fetched_anew(store: CountingStore, root: Path) -> None:
    content = os.urandom(3_000_000)
    key, digest = keep(store, content)
    (root / "partial").mkdir(parents=True)
    (root / "partial" / f"{digest}.{len(content)}").write_bytes(b"wrong" * 1000)
    assert Cache(root).fetch(store, key, digest).read_bytes() == content
    assert store.opened == [5000, 0]


def fetch_slowly(url: str, root: Path, key: str, digest: str) -> None:
    store = CountingStore(url)
    store.pause = 0.1
    Cache(root).fetch(store, key, digest)


def test_a_killed_download_leaves_nothing_whole_and_goes_on(
    store: CountingStore, root: Path
) -> None:
    content = os.urandom(20_000_000)
    key, digest = keep(store, content)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=fetch_slowly, args=(store.kept.url, root, key, digest))
    child.start()
    partial = root / "partial" / f"{digest}.{len(content)}"
    while not (partial.exists() and partial.stat().st_size > 0):
        assert child.is_alive()
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert files(root) == []
    assert Cache(root).fetch(store, key, digest).read_bytes() == content
    assert store.opened[0] > 0, "the bytes that had arrived are not asked for again"


def test_the_longest_unused_makes_room(store: CountingStore, root: Path) -> None:
    cache = Cache(root, limit_bytes=3_500)
    kept = [keep(store, bytes([i]) * 1000) for i in range(5)]
    for key, digest in kept[:3]:
        cache.fetch(store, key, digest)
    cache.fetch(store, *kept[0])
    cache.fetch(store, *kept[3])
    assert files(root) == sorted(digest for _, digest in (kept[0], kept[2], kept[3]))
    assert cache.bytes() <= 3_500


def test_what_is_held_stays(store: CountingStore, root: Path) -> None:
    cache = Cache(root, limit_bytes=2_000)
    first, second, third = (keep(store, bytes([i]) * 1000) for i in range(3))
    with cache.held(store, *first) as path, cache.held(store, *second):
        with pytest.raises(UnavailableError, match="all files are in use"):
            cache.fetch(store, *third)
        assert not Cache(root).forget(first[1])
        assert path.exists()
    cache.fetch(store, *third)
    assert third[1] in files(root)


def test_more_than_the_limit_does_not_fit(store: CountingStore, root: Path) -> None:
    key, digest = keep(store, b"x" * 1001)
    with pytest.raises(TooLargeError, match="do not fit"):
        Cache(root, limit_bytes=1000).fetch(store, key, digest)


def test_an_abandoned_download_makes_room_first(store: CountingStore, root: Path) -> None:
    cache = Cache(root, limit_bytes=2_500)
    first, second = (keep(store, bytes([i]) * 1000) for i in range(2))
    cache.fetch(store, *first)
    (root / "partial").mkdir(exist_ok=True)
    abandoned = root / "partial" / f"{'a' * 64}.1000"
    abandoned.write_bytes(b"x")
    cache.fetch(store, *second)
    assert not abandoned.exists()
    assert files(root) == sorted([first[1], second[1]])


def test_a_full_disk_pushes_out_the_old_and_tries_again(
    store: CountingStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(root)
    first, second = keep(store, b"1" * 1000), keep(store, b"2" * 1000)
    cache.fetch(store, *first)
    real, failures = module._append, [OSError(errno.ENOSPC, "No space left on device")]

    def append(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(module, "_append", append)
    assert cache.fetch(store, *second).read_bytes() == b"2" * 1000
    assert files(root) == [second[1]]


def test_a_disk_that_stays_full_leaves_nothing_half_made(
    store: CountingStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, digest = keep(store, b"2" * 1000)

    def append(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_append", append)
    with pytest.raises(UnavailableError, match="no space left"):
        Cache(root).fetch(store, key, digest)
    assert files(root) == []
    assert list((root / "partial").iterdir()) == []


def test_too_little_free_space_is_seen_before(store: CountingStore, root: Path) -> None:
    key, digest = keep(store, b"x")
    with pytest.raises(UnavailableError, match="no room"):
        Cache(root, reserve_bytes=2**62).fetch(store, key, digest)
    assert store.opened == []


def test_what_the_store_lacks_is_not_found(store: CountingStore, root: Path) -> None:
    with pytest.raises(NotFoundError):
        Cache(root).fetch(store, "datasets/none", "0" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "0" * 63])
def test_a_digest_that_is_none_is_refused(store: CountingStore, root: Path, digest: str) -> None:
    with pytest.raises(InvalidError, match="no SHA-256"):
        Cache(root).fetch(store, "key", digest)
