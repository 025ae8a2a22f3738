"""Retention as a server of the api sees it: also its own disk, and files counted now and then."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from api.context import Context
from core.data.storage.locks import attempted
from core.retention import Freed, RetentionPolicy, Storage, Usage, policies, store_usage
from core.retention.files import FilePolicy
from core.retention.policy import DAY_SECONDS

DISK = {"uploads": "uploads", "cache": "cache", "mlflow": "mlflow"}
"""Folders in the data folder, by kind; that of MLflow is there in the embedded stack."""


class UploadPolicy(RetentionPolicy):
    """Deletes uploads in `folder`, on the disk of this server, that received nothing for long."""

    def __init__(self, days: float, folder: Path) -> None:
        super().__init__("uploads", days)
        self._folder = folder

    def overdue(self, storage: Storage) -> Freed:
        return sum(map(files_below, self._old()), Freed())

    def apply(self, storage: Storage) -> Iterator[Freed]:
        for upload in self._old():
            freed = Freed()
            with attempted(upload / "lock") as unused:
                if unused:
                    freed = files_below(upload)
                    shutil.rmtree(upload, ignore_errors=True)
            yield freed

    def _old(self) -> Iterator[Path]:
        # The files lie on this machine, whose clock dated them.
        before = time.time() - self.days * DAY_SECONDS
        for upload in self._folder.glob("upload-*"):
            with suppress(FileNotFoundError):  # completed meanwhile
                if upload.stat().st_mtime <= before:
                    yield upload


def files_below(folder: Path) -> Freed:
    """The number and the bytes of the files below a folder, except locks."""
    files = size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.name != "lock":
                files, size = files + 1, size + path.stat().st_size
    return Freed(files=files, bytes=size)


def chosen(here: Context, days: Mapping[str, float | None]) -> list[RetentionPolicy]:
    """The policies of the kinds that are not kept for ever."""
    return [*policies(days), *own(here, days)]


def own(here: Context, days: Mapping[str, float | None]) -> list[RetentionPolicy]:
    """The policies that only this server can apply."""
    uploads = days["uploads"]
    return [] if uploads is None else [UploadPolicy(uploads, here.uploads)]


@dataclass(frozen=True)
class FileSizes:
    """The files of store and disk by kind, and what the policies for files would delete."""

    usages: list[Usage]
    overdue: dict[str, Freed]


def file_sizes(here: Context) -> FileSizes:
    """The sizes of files, which are ten minutes old at most. Raises UnavailableError."""
    return here.file_sizes.get(lambda: _measure(here))


def _measure(here: Context) -> FileSizes:
    usages = store_usage(here.store)
    for kind, name in DISK.items():
        below = files_below(here.settings.data_dir / name)
        usages.append(Usage(kind, "disk", below.files, below.bytes))
    overdue = {
        policy.kind: policy.overdue(here.storage)
        for policy in chosen(here, here.kept_days)
        if isinstance(policy, FilePolicy | UploadPolicy)
    }
    return FileSizes(usages, overdue)
