"""A folder, memory and S3 (its real protocol) keep, give back and forget bytes the same way."""

import errno
import os
import shutil
import uuid
from pathlib import Path

import pytest

from core.data.storage import stores
from core.data.storage.stores import Store, open_store
from core.errors import InvalidError, NotFoundError, UnavailableError


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_url"), {"skip_instance_cache": True})
    if request.param == "memory":
        return open_store(f"memory://{uuid.uuid4().hex}")
    return open_store(f"file://{tmp_path / 'a folder' / 'store'}")


def test_bytes_come_back(store: Store, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    store.put_file(source, "models/ab/file.bin")
    assert store.exists("models/ab/file.bin")
    assert store.size("models/ab/file.bin") == len(content)
    assert store.get_bytes("models/ab/file.bin") == content
    store.get_file("models/ab/file.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    with store.open("models/ab/file.bin", start=2_999_000) as reading:
        assert reading.read(10) == content[2_999_000:2_999_010]
        assert reading.read() == content[2_999_010:]


def test_the_last_write_wins_and_deleting_twice_is_fine(store: Store) -> None:
    store.put_bytes(b"one", "a/b")
    store.put_bytes(b"second", "a/b")
    assert store.get_bytes("a/b") == b"second"
    store.delete("a/b")
    assert not store.exists("a/b")
    store.delete("a/b")


def test_keys_are_listed_by_folder(store: Store) -> None:
    for key in ("a/b/1", "a/b/2", "a/c/3", "z"):
        store.put_bytes(b"x", key)
    assert store.keys() == ["a/b/1", "a/b/2", "a/c/3", "z"]
    assert store.keys("a/b") == ["a/b/1", "a/b/2"]
    assert store.keys("nothing") == []


def test_files_are_listed_with_their_sizes(store: Store) -> None:
    for key in ("models/ab/1/x", "models/cd/1/y", "other/ab"):
        store.put_bytes(b"12", key)
    assert {(file.key, file.bytes) for file in store.files("models")} == {
        ("models/ab/1/x", 2),
        ("models/cd/1/y", 2),
    }
    assert [file.key for file in store.files("models/ab")] == ["models/ab/1/x"]
    assert list(store.files("nothing")) == []


def test_long_lists_of_s3_come_in_pages(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(s3_url, {"skip_instance_cache": True})
    for key in ("ab/1", "ab/2", "zz/3"):
        store.put_bytes(b"x", key)
    monkeypatch.setattr(stores, "PAGE_FILES", 1)
    assert [file.key for file in store.files()] == ["ab/1", "ab/2", "zz/3"]


def test_no_empty_folders_are_left(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path / 'store'}")
    for key in ("models/ab/1/x", "models/ab/2/x", "models/cd/1/x"):
        store.put_bytes(b"12", key)
    store.delete("models/ab/1/x")
    store.delete("models/cd/1/x")
    paths = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert paths == {"store", "store/models", "store/models/ab", "store/models/ab/2",
                     "store/models/ab/2/x"}  # fmt: skip


def test_a_folder_that_vanishes_before_a_write_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process deletes the last file in it."""
    store, created = open_store(f"file://{tmp_path}"), Path.mkdir

    def vanishing(path: Path, *given: object, **named: object) -> None:
        created(path, *given, **named)  # type: ignore[arg-type]
        if path.name == "ab" and path.exists():
            monkeypatch.undo()
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", vanishing)
    store.put_bytes(b"12", "models/ab/x")
    assert store.get_bytes("models/ab/x") == b"12"


def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    for asked in (store.size, store.get_bytes):
        with pytest.raises(NotFoundError, match="nothing/here"):
            asked("nothing/here")
    with pytest.raises(NotFoundError):
        store.get_file("nothing/here", tmp_path / "copy")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a//b",
        "a/./b",
        "a\x00b",
        "a b",
        "~",
        ".hidden",
        "é",
        "a/",
        "C:\\x",
        "a\n",
        "%2e/x",
    ],
)
def test_keys_that_are_no_plain_paths_are_refused(key: str, tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path / 'store'}")
    for asked in (store.exists, store.delete, store.get_bytes):
        with pytest.raises(InvalidError, match="is not a key"):
            asked(key)
    with pytest.raises(InvalidError, match="is not a key"):
        store.put_bytes(b"x", key)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("url", ["nowhere", "zip::s3://x/y", "warp://x", "/just/a/path"])
def test_urls_that_are_no_stores_are_refused(url: str) -> None:
    with pytest.raises(InvalidError, match="store URL"):
        open_store(url)


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"file://{tmp_path / 'store'}")
    store.put_bytes(b"before", "a/b")

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UnavailableError, match="no space"):
        store.put_bytes(b"after", "a/b")
    assert store.get_bytes("a/b") == b"before"
    assert [path.name for path in (tmp_path / "store" / "a").iterdir()] == ["b"]


def test_a_store_that_is_away_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    options = {
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"connect_timeout": 1, "retries": {"max_attempts": 0}},
    }
    store = open_store("s3://bucket/x", options)
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        store.put_bytes(b"x", "a")
    assert "hush" not in caught.value.detail


# A store that is away is not a store without the bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def used(folder: Path) -> Store:
    """A store in a folder that holds something and was read."""
    store = open_store(f"file://{folder}")
    store.put_bytes(b"kept", "chunks/ab/one")
    store.get_bytes("chunks/ab/one")
    return store


def test_a_folder_that_is_moved_away_is_unavailable_and_is_not_made_anew(
    used: Store, folder: Path, tmp_path: Path
) -> None:
    folder.rename(tmp_path / "away")
    for asked in (used.get_bytes, used.size, used.exists, used.delete):
        with pytest.raises(UnavailableError, match="not there"):
            asked("chunks/ab/one")
    with pytest.raises(UnavailableError, match="not there"):
        used.get_range("chunks/ab/one", 0, 1)
    with pytest.raises(UnavailableError, match="not there"):
        used.put_bytes(b"model", "models/a")
    assert not folder.exists()
    (tmp_path / "away").rename(folder)
    assert used.get_bytes("chunks/ab/one") == b"kept"
    used.put_bytes(b"model", "models/a")


def test_an_unmounted_disk_is_unavailable_even_if_others_wrote_below_it(
    used: Store, folder: Path, tmp_path: Path
) -> None:
    folder.rename(tmp_path / "away")
    open_store(f"file://{folder}").put_bytes(b"checkpoint", "checkpoints/a")
    with pytest.raises(UnavailableError, match="another folder"):
        used.get_bytes("chunks/ab/one")
    with pytest.raises(UnavailableError, match="another folder"):
        used.put_bytes(b"model", "models/a")


def test_a_folder_that_was_brought_back_as_a_copy_is_taken_for_the_store(
    used: Store, folder: Path, tmp_path: Path
) -> None:
    folder.rename(tmp_path / "away")
    shutil.copytree(tmp_path / "away", folder)
    with pytest.raises(NotFoundError):
        used.get_bytes("chunks/ab/other")
    used.put_bytes(b"model", "models/a")


def test_what_is_truly_missing_is_not_found(used: Store, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="chunks/ab/other"):
        used.get_bytes("chunks/ab/other")
    (folder / "chunks/ab/one").unlink()
    with pytest.raises(NotFoundError, match="chunks/ab/one"):
        used.get_bytes("chunks/ab/one")


def test_an_empty_store_is_not_believed_to_have_lost_something(store: Store) -> None:
    with pytest.raises(UnavailableError, match=r"empty|not there"):
        store.confirm()
    store.put_bytes(b"x", "a/b")
    store.confirm()


def test_a_probe_leaves_nothing(store: Store) -> None:
    store.put_bytes(b"x", "a/b")
    store.probe()
    assert store.keys() == ["a/b"]


def test_a_bucket_that_does_not_exist_is_unavailable(s3_url: str) -> None:
    bucket = s3_url.removeprefix("s3://").partition("/")[0]
    missing = s3_url.replace(bucket, f"{bucket}-that-is-not-there")
    store = open_store(missing, {"skip_instance_cache": True})
    for asked in (store.get_bytes, store.size):
        with pytest.raises(UnavailableError, match="bucket"):
            asked("a/b")
    with pytest.raises(UnavailableError):
        store.confirm()
