"""`python -m tests.faults.crash_worker`: a worker that crashes where a file tells it to.

FAULTS_ARMED names a folder. A file in it, named after a job, holds a crash plan as JSON: `point`
and `moment`, a use case and whether to crash before or after its commit, or `step`, the step from
which on to crash; and `how`. The first process that reaches the point takes the plan.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core import jobs
from core.data.storage.stores import Store
from core.errors import UnavailableError
from worker.__main__ import main
from worker.attempt.attempt import Attempt

ARMED = "FAULTS_ARMED"
USE_CASES = {
    "claim": "claim",
    "renew": "renew",
    "write": "record_metrics",
    "record_checkpoint": "record_checkpoint",
    "finish_all": "finish",
    "release_all": "release",
    "lose_all": "lose",
}
"""The use cases that a worker calls, and the crash point of each."""
FILES = {"checkpoints": "store_checkpoint", "models": "store_model"}
"""The folders of the store that an attempt writes to, and the crash point of each."""


def _runner_pid(attempt: Attempt) -> int:
    assert attempt._runner is not None
    return attempt._runner.pid


TARGETS: dict[str, Callable[[Attempt], int]] = {
    "kill_runner": _runner_pid,
    "kill_slot": lambda _: os.getpid(),
    "kill_main": lambda _: os.getppid(),
}
"""The process to kill after a step, by `how`."""


def arm(folder: Path, job_id: str, **plan: Any) -> None:
    """Write the crash plan of a job."""
    (folder / job_id).write_text(json.dumps(plan))


def triggered(folder: Path, job_id: str) -> str | None:
    """Which process took the crash plan of a job; None while none did."""
    path = folder / f"{job_id}.triggered"
    return path.read_text() if path.exists() else None


def _take(job_id: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The crash plan of a job if it fits and no other process took it."""
    folder = Path(os.environ[ARMED])
    try:
        plan: dict[str, Any] = json.loads((folder / job_id).read_text())
        if not fits(plan):
            return None
        (folder / job_id).rename(folder / f"{job_id}.taken")
    except FileNotFoundError:
        return None
    path = folder / f"{job_id}.part"
    path.write_text(f"pid {os.getpid()}: {plan}")
    path.rename(folder / f"{job_id}.triggered")
    return plan


def _reach(job_id: str, point: str, moment: str, error: type[Exception] = OperationalError) -> None:
    """Crash, stop or raise `error` if the crash plan of the job names this point."""
    plan = _take(job_id, lambda it: (it["point"], it.get("moment")) == (point, moment))
    if plan is None:
        return
    if plan["how"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif plan["how"] == "pause":
        resume = f"sleep {plan['seconds']}; kill -CONT {os.getpid()}"
        subprocess.Popen(["/bin/sh", "-c", resume], start_new_session=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif error is OperationalError:
        raise OperationalError("COMMIT", None, ConnectionError("the answer was lost"))
    else:
        raise error("the answer was lost")


def _patch_commits() -> None:
    """Add a crash point before and after the commit of each use case."""
    for name, point in USE_CASES.items():
        setattr(jobs, name, _recording(point, getattr(jobs, name)))
    for moment in ("before", "after"):

        def on_commit(session: Session, moment: str = moment) -> None:
            for job_id, point in session.info.get("points", ()):
                _reach(job_id, point, moment)

        event.listen(Session, f"{moment}_commit", on_commit)


def _recording(point: str, use_case: Callable[..., Any]) -> Callable[..., Any]:
    """The use case, which then notes in its session that the transaction has this point."""

    @wraps(use_case)
    def wrapper(session: Session, job: Any, *arguments: Any, **named: Any) -> Any:
        """`job` is the id of one job, or maps the ids of several to attempt numbers."""
        result = use_case(session, job, *arguments, **named)
        if result is not None or point != "claim":
            job_ids = [job] if isinstance(job, str) else list(job)
            points = session.info.setdefault("points", [])
            points += [(job_id, point) for job_id in job_ids]
        return result

    return wrapper


def _patch_store() -> None:
    """Add a crash point before and after each file that is put into the store."""
    put = Store.put_file

    def put_file(store: Store, source: Path, key: str) -> None:
        folder, _, rest = key.partition("/")
        job_id, point = rest.partition("/")[0], FILES.get(folder, folder)
        _reach(job_id, point, "before", UnavailableError)
        put(store, source, key)
        _reach(job_id, point, "after", UnavailableError)

    mock.patch.object(Store, "put_file", put_file).start()


def _patch_steps() -> None:
    """Kill a process of the worker some seconds after the step that a crash plan names."""
    take = Attempt._take_event

    def take_event(attempt: Attempt, document: dict[str, Any]) -> None:
        take(attempt, document)
        step = attempt._task.step
        plan = _take(
            attempt._members.first.job_id, lambda it: it["point"] == "step" and step >= it["step"]
        )
        if plan is not None:
            pid = TARGETS[plan["how"]](attempt)
            threading.Timer(plan["seconds"], os.kill, (pid, signal.SIGKILL)).start()

    mock.patch.object(Attempt, "_take_event", take_event).start()


if __name__ == "__main__":
    _patch_commits()
    _patch_store()
    _patch_steps()
    sys.exit(main())
