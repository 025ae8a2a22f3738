"""The data folder is one stack's at a time, and what is wrong with it is one clear line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrule.stack import StackError
from chainrule.stack.folder import Folder, holder
from chainrule.stack.process import Command, Process


def test_the_process_that_uses_it_is_known(tmp_path: Path) -> None:
    assert holder(tmp_path / "none") is None
    folder = Folder(tmp_path)
    assert holder(tmp_path) == os.getpid()
    folder.close()
    assert holder(tmp_path) is None


def test_it_is_made_and_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0
    folder.close()


@pytest.mark.parametrize("files", [(), ("up.log",), ("up.lock", "chainrule.sqlite")], ids=str)
def test_a_folder_that_others_can_open_is_made_private(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    for name in files:
        (tmp_path / name).touch()
    tmp_path.chmod(0o755)
    lines: list[str] = []
    Folder(tmp_path, lines.append).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert lines == [f"other users could open {tmp_path} (mode 0755): its mode is now 0700"]
    Folder(tmp_path, lines.append).close()
    assert len(lines) == 1


def test_a_folder_with_other_files_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    lines: list[str] = []
    Folder(tmp_path, lines.append).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert "choose an own folder" in lines[0]


def test_files_of_the_stack_are_private(tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'file')!r}, 'w').close()"
    process = Process(Command("writer", (sys.executable, "-c", program)), lambda *_: None)
    assert process.wait(60) == 0
    process.destroy()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


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
