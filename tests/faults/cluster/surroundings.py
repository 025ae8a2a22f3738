"""What a stack has around PostgreSQL, broker and workers: MLflow, an api, disks that may fill."""

import os
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.faults.cluster.proxy import Proxy
from tests.faults.cluster.stack import Stack, thaw
from tests.faults.verdict import WRONG, Verdict
from tests.support.brokers import free_port
from tests.support.trackers import Tracker
from tests.support.worker_cases import until
from tests.support.worker_processes import Process

DISK_MEGABYTES = {"store": 96, "work": 96, "guest": 2}
MIRROR_SECONDS = 120.0


class WholeStack(Stack):
    """A stack with MLflow, with an api, and, for root, with small disks for store and work."""

    def __init__(self, folder: Path, **given: Any) -> None:
        """`given` is as for a Stack."""
        self.api: Process | None = None
        self.disks: dict[str, Path] = {}
        with ExitStack() as around:
            (folder / "mlflow").mkdir()
            self.tracker = Tracker(folder / "mlflow", free_port())
            around.callback(self.tracker.stop)
            self.tracker.start()
            self.mlflow_link = Proxy(self.tracker.port)
            around.callback(self.mlflow_link.close)
            if os.geteuid() == 0:
                for name, megabytes in DISK_MEGABYTES.items():
                    disk = folder / "disks" / name
                    disk.mkdir(parents=True)
                    _mount(disk, megabytes)
                    around.callback(_unmount, disk)
                    self.disks[name] = disk
                data = folder / "bench" / "data"
                data.mkdir(parents=True)
                for name in ("store", "work"):
                    # The folder can be moved away, which that of a disk cannot.
                    (data / name).symlink_to(self.disks[name], target_is_directory=True)
            self.api_port = free_port()
            self.tracker.wait()
            super().__init__(
                folder,
                CHAINRULE_MLFLOW_URL=f"http://127.0.0.1:{self.mlflow_link.port}",
                CHAINRULE_PORT=str(self.api_port),
                **given,
            )
            self._around = around.pop_all()

    @property
    def url(self) -> str:
        """Of the api."""
        return f"http://127.0.0.1:{self.api_port}"

    def lacks(self, need: str) -> str | None:
        if need in ("mlflow", "api"):
            return None
        if need == "disks":
            return None if self.disks else "only root can mount small disks"
        return super().lacks(need)

    def heal(self) -> None:
        super().heal()
        self.mlflow_link.heal()
        for disk in self.disks.values():
            (disk / "filler").unlink(missing_ok=True)
        if self.tracker.process is None:
            self.tracker.start()
        self.tracker.thaw()
        if self.api is None or self.api.process.poll() is not None:
            self.api = self.start("api")
        thaw(self.api)
        self.tracker.wait()
        until(self._answers)

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        return False

    def fill(self, name: str) -> int:
        """Leave no room on a disk; how many bytes that took."""
        filler = self.disks[name] / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(65536))
                file.flush()
        return filler.stat().st_size

    def judge(self, job_id: str, verdict: Verdict) -> bool:
        """Note in the verdict when MLflow does not show a job as it is; whether it does."""
        if job_id in verdict.bad:
            return False
        if why := self.shown_otherwise(job_id):
            verdict.against(job_id, WRONG, why)
            return False
        return True

    def shown_otherwise(self, job_id: str) -> str | None:
        """What MLflow shows otherwise than the database, and goes on to."""
        give_up_at = time.monotonic() + MIRROR_SECONDS
        # On a busy machine it may take more than the minute that is the goal, never for ever.
        while (why := self._differs(job_id)) and time.monotonic() < give_up_at:
            time.sleep(0.5)
        return why

    def _differs(self, job_id: str) -> str | None:
        job = self.bench.job(job_id)
        if job.mlflow_run_id is None:
            return "has no run"
        try:
            status = self.tracker.run(job.mlflow_run_id)["info"]["status"]
            if status != "FINISHED":
                return f"is {status} in MLflow"
            for key, want in self.bench.history(job_id).items():
                got = [(s, v) for s, v, _ in self.tracker.history(job.mlflow_run_id, key)]
                if len(got) != len({step for step, _ in got}):
                    return f"has a step of {key} twice in MLflow"
                if want != got:
                    return f"has other points of {key} in MLflow"
        except httpx.HTTPError as error:
            return f"cannot be asked for in MLflow: {type(error).__name__}"
        return None

    def close(self) -> None:
        super().close()
        self._around.close()


def _mount(disk: Path, megabytes: int) -> None:
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
    subprocess.run(["mount", *options], check=True)


def _unmount(disk: Path) -> None:
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
