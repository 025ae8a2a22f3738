"""Damaged bytes of the store are replaced by an upload or by a machine's copy."""

import pytest

from core import datasets
from core.data.ingest.parser import parse
from core.data.storage import damage
from core.data.storage.cache import Cache
from core.data.storage.local_copy import chunk_key, held, manifest, manifest_key, whole_key
from core.data.storage.stores import open_store
from core.datasets import blobs
from core.db.session import reading
from core.errors import DamagedError, UnavailableError
from tests.support.job_cases import do


@pytest.fixture
def store(request, tmp_path):
    """A folder, or S3 for tests that ask for it."""
    if getattr(request, "param", "file") == "s3":
        return open_store(request.getfixturevalue("s3_url"), {"skip_instance_cache": True})
    return open_store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def parsed(tmp_path):
    source = tmp_path / "digits.csv"
    source.write_text("\n".join(["x,label", *(f"{n}.5,{'ab'[n % 2]}" for n in range(200))]))
    return parse(source, "text/csv", tmp_path / "digits.arrow")


@pytest.fixture
def keys(store, parsed):
    """Of what a kept version is made of in the store: its chunk, its manifest."""
    blobs.keep(store, parsed)
    kept = manifest(store, parsed.digest)
    assert kept is not None
    return chunk_key(kept.chunks[0].digest), manifest_key(parsed.digest)


@pytest.fixture
def cache(store, parsed, keys, tmp_path):
    """Of a machine that has used the version."""
    cache = Cache(tmp_path / "cache")
    with held(cache, store, parsed.digest):
        pass
    return cache


def rot(store, key):
    """Flip a bit of what the store keeps."""
    content = bytearray(store.get_bytes(key))
    content[len(content) // 2] ^= 1
    store.put_bytes(bytes(content), key)


def read(store, parsed) -> bytes:
    return b"".join(datasets.read(store, parsed.digest))


@pytest.mark.parametrize("store", ["file", "s3"], indirect=True)
@pytest.mark.parametrize("which", [0, 1])
def test_an_upload_replaces_damaged_bytes(store, parsed, keys, which):
    rot(store, keys[which])
    with pytest.raises(DamagedError):
        read(store, parsed)
    damage.note(store, keys[which])
    blobs.keep(store, parsed)
    assert read(store, parsed) == parsed.path.read_bytes()
    assert damage.damaged_keys(store) == []


def test_an_upload_replaces_what_cannot_be_read(store, parsed, keys, monkeypatch):
    real, written = store.put_bytes, []

    def unreadable(_):
        raise UnavailableError("the store refuses: Input/output error")

    def put(content, key):
        written.append(key)
        real(content, key)

    monkeypatch.setattr(store, "get_bytes", unreadable)
    monkeypatch.setattr(store, "put_bytes", put)
    blobs.keep(store, parsed)
    assert sorted(written) == sorted(keys)


def test_an_upload_writes_nothing_that_is_sound(store, parsed, keys, monkeypatch):
    other = chunk_key("a" * 64)
    damage.note(store, other)
    written = []
    monkeypatch.setattr(store, "put_bytes", lambda _, key: written.append(key))
    blobs.keep(store, parsed)
    assert written == []
    assert damage.damaged_keys(store) == [other]


@pytest.mark.parametrize("store", ["file", "s3"], indirect=True)
@pytest.mark.parametrize("which", [0, 1])
def test_a_machine_with_a_sound_copy_repairs_the_store(
    engine, store, parsed, keys, cache, tmp_path, which
):
    rot(store, keys[which])
    damage.note(store, keys[which])
    assert datasets.repair(engine, store, Cache(tmp_path / "empty")) == []
    assert damage.damaged_keys(store) == [keys[which]]
    assert datasets.repair(engine, store, cache) == [keys[which]]
    assert read(store, parsed) == parsed.path.read_bytes()
    assert damage.damaged_keys(store) == []
    assert datasets.repair(engine, store, cache) == []


def test_a_rotten_copy_repairs_nothing(engine, store, parsed, keys, cache, tmp_path):
    rot(store, keys[0])
    damage.note(store, keys[0])
    path = cache.fetched(keys[0].rpartition("/")[2])
    path.write_bytes(store.get_bytes(keys[0]))
    assert datasets.repair(engine, store, Cache(tmp_path / "cache")) == []
    assert not path.exists()
    with pytest.raises(DamagedError):
        read(store, parsed)


def test_a_copy_brings_back_nothing_that_was_erased(
    engine, store, parsed, keys, cache, monkeypatch
):
    rot(store, keys[0])
    damage.note(store, keys[0])
    gone = blobs.unheld(store, parsed.digest)
    assert gone == [damage.note_key(keys[0]), *keys]

    def asked(of):
        """The version is erased just after the notes were read."""
        found = real(of)
        for key in gone:
            store.delete(key)
        return found

    real = damage.damaged_keys
    monkeypatch.setattr(damage, "damaged_keys", asked)
    assert datasets.repair(engine, store, cache) == []
    assert store.keys() == []


def test_versions_that_need_damaged_bytes_are_named(engine, store, parsed, keys):
    do(engine, datasets.register, "digits", parsed)
    do(engine, datasets.register, "twin", parsed)
    unused = chunk_key("a" * 64)
    with reading(engine) as session:
        found = datasets.damaged_versions(session, store, [*keys, unused])
        assert found == {key: ["digits@1", "twin@1"] for key in keys} | {unused: []}
        rot(store, keys[1])
        assert datasets.damaged_versions(session, store, [keys[1]]) == {
            keys[1]: ["digits@1", "twin@1"]
        }
        assert datasets.damaged_versions(session, store, []) == {}


def test_a_whole_file_is_checked_while_it_is_read(store, parsed):
    store.put_file(parsed.path, whole_key(parsed.digest))
    assert read(store, parsed) == parsed.path.read_bytes()
    rot(store, whole_key(parsed.digest))
    with pytest.raises(DamagedError):
        read(store, parsed)


def test_notes_about_strays_are_strays(store, parsed, keys):
    damage.note(store, keys[0])
    assert blobs.strays(store, [parsed.digest]) == []
    assert blobs.strays(store, []) == [damage.note_key(keys[0]), *keys]
