"""The data folder is one stack's at a time, and what is wrong with it is one clear line."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrule.stack.errors import StackError
from chainrule.stack.folder import Folder


def test_it_is_made_and_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0
    folder.close()


def test_a_second_one_learns_who_holds_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(
        StackError, match=rf"in use by a running Chainrule \(process {os.getpid()}\)"
    ):
        Folder(tmp_path)
    folder.close()
    Folder(tmp_path).close()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="it is not a folder"):
        Folder(tmp_path / "file")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.root
def test_a_full_disk_is_one_line(tiny_disk: Path) -> None:
    with pytest.raises(StackError) as caught:
        Folder(tiny_disk / "data")
    assert "the disk is full" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tiny_disk / "data").glob("*.probe"))


@pytest.mark.root
def test_a_read_only_disk_is_one_line(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(StackError, match="it cannot be written to"):
        Folder(tiny_disk / "data")
