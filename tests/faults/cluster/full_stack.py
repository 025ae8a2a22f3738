"""A stack that also has MLflow, the api and small disks."""

import os
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.faults.checker import WRONG, Checker
from tests.faults.cluster.proxy import Proxy
from tests.faults.cluster.stack import Stack, thaw
from tests.support.brokers import free_port
from tests.support.trackers import Tracker
from tests.support.worker_cases import until
from tests.support.worker_processes import Process

DISK_MEGABYTES = {"store": 96, "work": 96, "extra": 2}
MIRROR_SECONDS = 120.0


class FullStack(Stack):
    """A stack with MLflow, an api and, for root, small disks for the store and for work."""

    def __init__(self, folder: Path, **options: Any) -> None:
        """Start all processes; `options` are those of a Stack."""
        self.api: Process | None = None
        self.disks: dict[str, Path] = {}
        with ExitStack() as opened:
            (folder / "mlflow").mkdir()
            self.tracker = Tracker(folder / "mlflow", free_port())
            opened.callback(self.tracker.stop)
            self.tracker.start()
            self.mlflow_link = Proxy(self.tracker.port)
            opened.callback(self.mlflow_link.close)
            if os.geteuid() == 0:
                for name, megabytes in DISK_MEGABYTES.items():
                    disk = folder / "disks" / name
                    disk.mkdir(parents=True)
                    _mount(disk, megabytes)
                    opened.callback(_unmount, disk)
                    self.disks[name] = disk
                data = folder / "bench" / "data"
                data.mkdir(parents=True)
                for name in ("store", "work"):
                    # A link can be moved by a fault; the mount point of a disk cannot.
                    (data / name).symlink_to(self.disks[name], target_is_directory=True)
            self.api_port = free_port()
            self.tracker.wait()
            super().__init__(
                folder,
                CHAINRULE_MLFLOW_URL=f"http://127.0.0.1:{self.mlflow_link.port}",
                CHAINRULE_PORT=str(self.api_port),
                **options,
            )
            self._services = opened.pop_all()

    @property
    def url(self) -> str:
        """The address of the api."""
        return f"http://127.0.0.1:{self.api_port}"

    def missing(self, need: str) -> str | None:
        if need in ("mlflow", "api"):
            return None
        if need == "disks":
            return None if self.disks else "only root can mount small disks"
        return super().missing(need)

    def repair(self) -> None:
        super().repair()
        self.mlflow_link.repair()
        for disk in self.disks.values():
            (disk / "filler").unlink(missing_ok=True)
        if self.tracker.process is None:
            self.tracker.start()
        self.tracker.thaw()
        if self.api is None or self.api.process.poll() is not None:
            self.api = self.start("api")
        thaw(self.api)
        self.tracker.wait()
        until(self._api_is_ready)

    def _api_is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        return False

    def fill(self, name: str) -> int:
        """Fill a disk; the number of bytes that it took."""
        filler = self.disks[name] / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(65536))
                file.flush()
        return filler.stat().st_size

    def check_mlflow(self, job_id: str, checker: Checker) -> bool:
        """Report a job that MLflow does not show as the database does; whether all is well.

        A job with a violation is not compared.
        """
        if job_id in checker.violations:
            return False
        if why := self._difference(job_id):
            checker.report(job_id, WRONG, why)
            return False
        return True

    def _difference(self, job_id: str) -> str | None:
        """How MLflow differs from the database, even after two minutes; None if it does not."""
        give_up_at = time.monotonic() + MIRROR_SECONDS
        # The goal is one minute, which a busy machine may exceed.
        while (why := self._difference_now(job_id)) and time.monotonic() < give_up_at:
            time.sleep(0.5)
        return why

    def _difference_now(self, job_id: str) -> str | None:
        job = self.bench.job(job_id)
        if job.mlflow_run_id is None:
            return "has no run"
        try:
            status = self.tracker.run(job.mlflow_run_id)["info"]["status"]
            if status != "FINISHED":
                return f"is {status} in MLflow"
            for key, expected in self.bench.history(job_id).items():
                actual = [(s, v) for s, v, _ in self.tracker.history(job.mlflow_run_id, key)]
                if len(actual) != len({step for step, _ in actual}):
                    return f"has a step of {key} twice in MLflow"
                if expected != actual:
                    return f"has other points of {key} in MLflow"
        except httpx.HTTPError as error:
            return f"cannot be read from MLflow: {type(error).__name__}"
        return None

    def close(self) -> None:
        super().close()
        self._services.close()


def _mount(disk: Path, megabytes: int) -> None:
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
    subprocess.run(["mount", *options], check=True)


def _unmount(disk: Path) -> None:
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
