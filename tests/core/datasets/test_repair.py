"""Damaged bytes in the store are replaced by an upload or by a copy from a node's cache."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from core import datasets
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage import damage
from core.data.storage.cache import Cache
from core.data.storage.local_copy import chunk_key, held, manifest, manifest_key, whole_key
from core.data.storage.stores import Store, open_store
from core.datasets import blobs
from core.db.session import reading
from core.errors import DamagedError, UnavailableError
from tests.support.job_cases import do


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A folder, or S3 for tests that ask for it."""
    if getattr(request, "param", "file") == "s3":
        return open_store(request.getfixturevalue("s3_url"), {"skip_instance_cache": True})
    return open_store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def parsed(tmp_path: Path) -> ParsedDataset:
    source = tmp_path / "digits.csv"
    source.write_text("\n".join(["x,label", *(f"{n}.5,{'ab'[n % 2]}" for n in range(200))]))
    return parse(source, "text/csv", tmp_path / "digits.arrow")


@pytest.fixture
def keys(store: Store, parsed: ParsedDataset) -> tuple[str, str]:
    """Keys of a kept version in the store: its chunk and its manifest."""
    blobs.keep(store, parsed)
    kept = manifest(store, parsed.digest)
    assert kept is not None
    return chunk_key(kept.chunks[0].digest), manifest_key(parsed.digest)


@pytest.fixture
def cache(store: Store, parsed: ParsedDataset, keys: tuple[str, str], tmp_path: Path) -> Cache:
    """The cache of a machine that has used the version."""
    assert store.exists(keys[1])
    cache = Cache(tmp_path / "cache")
    with held(cache, store, parsed.digest):
        pass
    return cache


def corrupt(store: Store, key: str) -> None:
    """Flip a bit of an object in the store."""
    content = bytearray(store.get_bytes(key))
    content[len(content) // 2] ^= 1
    store.put_bytes(bytes(content), key)


def read(store: Store, parsed: ParsedDataset) -> bytes:
    return b"".join(datasets.read(store, parsed.digest))


@pytest.mark.parametrize("store", ["file", "s3"], indirect=True)
@pytest.mark.parametrize("which", [0, 1])
def test_an_upload_replaces_damaged_bytes(
    store: Store, parsed: ParsedDataset, keys: tuple[str, str], which: int
) -> None:
    corrupt(store, keys[which])
    with pytest.raises(DamagedError):
        read(store, parsed)
    damage.note(store, keys[which])
    blobs.keep(store, parsed)
    assert read(store, parsed) == parsed.path.read_bytes()
    assert damage.damaged_keys(store) == []


def test_an_upload_replaces_unreadable_bytes(
    store: Store, parsed: ParsedDataset, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.put_bytes
    written: list[str] = []

    def unreadable(_: str) -> bytes:
        raise UnavailableError("the store refuses: Input/output error")

    def put(content: bytes, key: str) -> None:
        written.append(key)
        real(content, key)

    monkeypatch.setattr(store, "get_bytes", unreadable)
    monkeypatch.setattr(store, "put_bytes", put)
    blobs.keep(store, parsed)
    assert sorted(written) == sorted(keys)


@pytest.mark.usefixtures("keys")
def test_an_upload_writes_no_sound_bytes_again(
    store: Store, parsed: ParsedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = chunk_key("a" * 64)
    damage.note(store, other)
    written: list[str] = []
    monkeypatch.setattr(store, "put_bytes", lambda _, key: written.append(key))
    blobs.keep(store, parsed)
    assert written == []
    assert damage.damaged_keys(store) == [other]


@pytest.mark.parametrize("store", ["file", "s3"], indirect=True)
@pytest.mark.parametrize("which", [0, 1])
def test_a_machine_with_a_sound_copy_repairs_the_store(
    engine: Engine,
    store: Store,
    parsed: ParsedDataset,
    keys: tuple[str, str],
    cache: Cache,
    tmp_path: Path,
    which: int,
) -> None:
    corrupt(store, keys[which])
    damage.note(store, keys[which])
    assert datasets.repair(engine, store, Cache(tmp_path / "empty")) == []
    assert damage.damaged_keys(store) == [keys[which]]
    assert datasets.repair(engine, store, cache) == [keys[which]]
    assert read(store, parsed) == parsed.path.read_bytes()
    assert damage.damaged_keys(store) == []
    assert datasets.repair(engine, store, cache) == []


def test_a_damaged_copy_repairs_nothing(
    engine: Engine,
    store: Store,
    parsed: ParsedDataset,
    keys: tuple[str, str],
    cache: Cache,
    tmp_path: Path,
) -> None:
    corrupt(store, keys[0])
    damage.note(store, keys[0])
    path = cache.fetched(keys[0].rpartition("/")[2])
    path.write_bytes(store.get_bytes(keys[0]))
    assert datasets.repair(engine, store, Cache(tmp_path / "cache")) == []
    assert not path.exists()
    with pytest.raises(DamagedError):
        read(store, parsed)


def test_a_copy_does_not_restore_an_erased_version(
    engine: Engine,
    store: Store,
    parsed: ParsedDataset,
    keys: tuple[str, str],
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corrupt(store, keys[0])
    damage.note(store, keys[0])
    gone = blobs.unheld(store, parsed.digest)
    assert gone == [damage.note_key(keys[0]), *keys]

    def erase_after_reading(of: Store) -> list[str]:
        """Erase the version after the notes were read."""
        noted = real(of)
        for key in gone:
            store.delete(key)
        return noted

    real = damage.damaged_keys
    monkeypatch.setattr(damage, "damaged_keys", erase_after_reading)
    assert datasets.repair(engine, store, cache) == []
    assert store.keys() == []


def test_versions_with_damaged_bytes_are_named(
    engine: Engine, store: Store, parsed: ParsedDataset, keys: tuple[str, str]
) -> None:
    do(engine, datasets.register, "digits", parsed)
    do(engine, datasets.register, "twin", parsed)
    unused = chunk_key("a" * 64)
    with reading(engine) as session:
        versions = datasets.damaged_versions(session, store, [*keys, unused])
        assert versions == {key: ["digits@1", "twin@1"] for key in keys} | {unused: []}
        corrupt(store, keys[1])
        assert datasets.damaged_versions(session, store, [keys[1]]) == {
            keys[1]: ["digits@1", "twin@1"]
        }
        assert datasets.damaged_versions(session, store, []) == {}


def test_a_whole_file_is_checked_while_it_is_read(store: Store, parsed: ParsedDataset) -> None:
    store.put_file(parsed.path, whole_key(parsed.digest))
    assert read(store, parsed) == parsed.path.read_bytes()
    corrupt(store, whole_key(parsed.digest))
    with pytest.raises(DamagedError):
        read(store, parsed)


def test_notes_about_strays_are_strays(
    store: Store, parsed: ParsedDataset, keys: tuple[str, str]
) -> None:
    damage.note(store, keys[0])
    assert blobs.strays(store, [parsed.digest]) == []
    assert blobs.strays(store, []) == [damage.note_key(keys[0]), *keys]
