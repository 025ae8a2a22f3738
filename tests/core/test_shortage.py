"""Every way in which a full disk, no file handles or no memory shows itself is recognized."""

import errno
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet
from safetensors.numpy import save_file

from core.errors import InvalidError, TrainingError, UnavailableError
from core.shortage import Shortage, shortage


class LibraryError(Exception):
    """As a library's own class of errors."""


def raised(work: Callable[[], object]) -> Exception:
    """The exception that `work` raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        work()
    return caught.value


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (OSError(errno.ENOSPC, "x"), Shortage.DISK_FULL),
        (OSError(errno.EDQUOT, "x"), Shortage.DISK_FULL),
        (OSError(errno.EMFILE, "x"), Shortage.NO_FILE_HANDLES),
        (OSError(errno.ENFILE, "x"), Shortage.NO_FILE_HANDLES),
        (OSError(errno.ENOMEM, "x"), Shortage.OUT_OF_MEMORY),
        (OSError(errno.EIO, "x"), Shortage.DISK_ERROR),
        (OSError(errno.EROFS, "x"), Shortage.DISK_ERROR),
        (MemoryError(), Shortage.OUT_OF_MEMORY),
        (pa.ArrowMemoryError("malloc of size 64 failed"), Shortage.OUT_OF_MEMORY),
        (LibraryError("I/O error: No space left on device (os error 28)"), Shortage.DISK_FULL),
        (LibraryError("Error while serializing: IoError(Os (os error 122))"), Shortage.DISK_FULL),
        (LibraryError("Too many open files (os error 24)"), Shortage.NO_FILE_HANDLES),
        (LibraryError("zstd: Allocation error : not enough memory"), Shortage.OUT_OF_MEMORY),
        (sqlite3.OperationalError("database or disk is full"), Shortage.DISK_FULL),
        (OSError("4000 requested and 1024 written"), Shortage.DISK_FULL),
        (RuntimeError("can't start new thread"), Shortage.NO_PROCESSES),
        (pa.ArrowException("[Errno 28] Error writing bytes. No space left on device"),
         Shortage.DISK_FULL),
    ],
)  # fmt: skip
def test_what_a_library_says_names_the_shortage(error: Exception, lack: Shortage) -> None:
    assert shortage(error) is lack


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes do not fit"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        TrainingError("the loss became NaN"),
        InvalidError("column 'no space left on device' is not numeric"),
        KeyError("28"),
    ],
)
def test_other_errors_are_no_shortage(error: Exception) -> None:
    assert shortage(error) is None


def test_what_an_error_was_raised_from_counts() -> None:
    def work() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise UnavailableError("the cache cannot be written") from error

    assert shortage(raised(work)) is Shortage.DISK_FULL


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("create table t (x)")
        connection.execute("insert into t values (zeroblob(1000000))")
        connection.commit()
    finally:
        connection.close()


WRITERS: dict[str, Callable[[Path], object]] = {
    "python": lambda path: path.write_bytes(bytes(10**6)),
    "numpy": lambda path: np.zeros(10**6).tofile(path),
    "safetensors": lambda path: save_file({"a": np.zeros(10**6)}, path),
    "parquet": lambda path: parquet.write_table(pa.table({"a": np.random.rand(10**5)}), path),
    "zstd": lambda path: feather.write_feather(
        pa.table({"a": np.random.rand(10**5)}), path, compression="zstd"
    ),
    "sqlite": _sqlite,
}


@pytest.mark.root
@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_a_disk_that_is_really_full_is_recognized(full_disk: Path, writer: str) -> None:
    error = raised(lambda: WRITERS[writer](full_disk / "file"))
    assert shortage(error) is Shortage.DISK_FULL, repr(error)


def test_file_handles_that_really_ran_out_are_recognized(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    handles: list[BinaryIO] = []
    arrays = {"a": np.zeros(4)}
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        plain = raised(lambda: handles.extend((tmp_path / "a").open("ab") for _ in range(99)))
        other = raised(lambda: save_file(arrays, tmp_path / "model"))
    finally:
        for handle in handles:
            handle.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert shortage(plain) is shortage(other) is Shortage.NO_FILE_HANDLES
