"""A server reads the files that its settings allow, whole and unchanged, and no others."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.storage import origins
from core.data.storage.stores import Object, open_object, open_store
from core.errors import (
    ChainruleError,
    ConflictError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)

CONTENT = os.urandom(3 * 2**20)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that may be read, in one that may not."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "data.csv").write_bytes(CONTENT)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def poured(origin: Any, target: Path, most: int = 2**40) -> bytes:
    with target.open("ab") as file:
        origin.pour(file, most)
    return target.read_bytes()


def test_a_file_of_a_bucket_comes_in_parts(s3_url: str, tmp_path: Path) -> None:
    open_store(s3_url).put_bytes(CONTENT, "day/data.csv")
    origin = origins.find(f"{s3_url}/day/data.csv", [s3_url], len(CONTENT))
    assert origin.size == len(CONTENT)
    assert poured(origin, tmp_path / "part", 2**20 + 1) == CONTENT[: 2**20 + 1]
    assert poured(origin, tmp_path / "part") == CONTENT
    assert origins.find(origin.url, [s3_url], len(CONTENT)).state == origin.state
    open_store(s3_url).put_bytes(b"x" * len(CONTENT), "day/data.csv")
    with pytest.raises(ConflictError, match="changed"):
        poured(origin, tmp_path / "other")
    with pytest.raises(NotFoundError):
        origins.find(f"{s3_url}/day/none.csv", [s3_url], 1)
    with pytest.raises(NotFoundError, match="no file"):
        origins.find(f"{s3_url}/day", [s3_url], 1)


def test_a_file_of_a_folder_is_copied(shared: Path, tmp_path: Path) -> None:
    url = f"file://{shared}/data.csv"
    origin = origins.find(url, [f"file://{shared}"], len(CONTENT))
    assert poured(origin, tmp_path / "copy") == CONTENT
    with pytest.raises(TooLargeError, match="at most"):
        origins.find(url, [f"file://{shared}"], len(CONTENT) - 1)
    (shared / "data.csv").write_bytes(CONTENT[:-1])
    with pytest.raises(ConflictError, match="changed"):
        poured(origin, tmp_path / "other")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{shared}/../secret",
        "file://{shared}/./data.csv",
        "file://{shared}//data.csv",
        "file://{shared}x/data.csv",
        "file://{shared}",
        "file://{shared}/link",
        "file://{shared}/away/secret",
        "file://localhost{shared}/data.csv",
        "file:{shared}/data.csv",
        "file://~/data.csv",
        "{shared}/data.csv",
        "file://{shared}/*",
        "file://{shared}/data.csv?x",
        "s3://other/key",
        "s3://bucket-2/key",
        "s3://user:word@bucket/key",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/v1/jobs",
        "zip://x::file://{shared}/data.csv",
        "memory://bucket/key",
        "ftp://bucket/key",
        "S3://bucket/key",
        "s3://bucket/a\\b",
        "s3://bucket/a\x00b",
        "",
    ],
)
def test_nothing_else_is_read(url: str, shared: Path, tmp_path: Path) -> None:
    (shared / "link").symlink_to(tmp_path / "secret")
    (shared / "away").symlink_to(tmp_path)
    allowed = [f"file://{shared}", "s3://bucket"]
    with pytest.raises(ChainruleError) as refused:
        origins.find(url.replace("{shared}", str(shared)), allowed, 2**30)
    named = isinstance(refused.value, InvalidError) and refused.value.errors[0].path == "url"
    assert named or url == "file://{shared}"  # which is no file


def test_nothing_is_allowed_by_default(shared: Path) -> None:
    with pytest.raises(InvalidError, match="CHAINRULE_DATASET_URLS"):
        origins.find(f"file://{shared}/data.csv", origins.prefixes(""), 2**30)


def test_what_is_no_file_is_not_opened(shared: Path) -> None:
    os.mkfifo(shared / "pipe")
    (shared / "empty").touch()
    with pytest.raises(NotFoundError):
        origins.find(f"file://{shared}/pipe", [f"file://{shared}"], 1)
    with pytest.raises(InvalidError, match="no bytes"):
        origins.find(f"file://{shared}/empty", [f"file://{shared}"], 1)


def test_settings_name_prefixes() -> None:
    assert origins.prefixes(" s3://a/b/, file:///srv/data ,") == ("s3://a/b/", "file:///srv/data")
    for wrong in ("file:///", "/srv", "https://host/", "s3://a/../b"):
        with pytest.raises(InvalidError):
            origins.prefixes(wrong)


class Cut(Object):
    """A file on a line that is cut after so many bytes, so many times."""

    def __init__(self, path: Path, after: int, times: int) -> None:
        self.whole, self.after, self.times = open_object(f"file://{path}"), after, times

    def state(self) -> Any:
        return self.whole.state()

    def open(self, start: int = 0) -> Any:
        reading: Any = self.whole.open(start)
        if self.times:
            self.times -= 1
            reading.read = self.cut(reading.read)
        return reading

    def cut(self, read: Callable[[int], bytes]) -> Any:
        left = self.after

        def cut(size: int) -> Any:
            nonlocal left
            if not left:
                raise UnavailableError("the store does not answer")
            block = read(min(size, left))
            left -= len(block)
            return block

        return cut


def test_a_line_that_is_cut_is_taken_up_again(shared: Path, tmp_path: Path) -> None:
    path = shared / "data.csv"
    size, state = open_object(f"file://{path}").state()
    cut = origins.Origin("url", size, state, Cut(path, 2**18 + 1, 9))
    assert poured(cut, tmp_path / "copy") == CONTENT
    dead = origins.Origin("url", size, state, Cut(path, 0, 99))
    with pytest.raises(UnavailableError):
        poured(dead, tmp_path / "none")
