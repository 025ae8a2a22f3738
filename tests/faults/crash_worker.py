"""`python -m tests.faults.crash_worker`: a worker that comes to harm exactly where it is told to.

FAULTS_ARMED names a folder. A file in it, named as a job, says where: at which use case, before or
after its commit, or from which step on; and how. The first process that comes there takes it.
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
"""The use cases that a worker calls, and the names of their places."""
FILES = {"checkpoints": "keep_checkpoint", "models": "keep_model"}


def _runner_pid(attempt: Attempt) -> int:
    assert attempt._runner is not None
    return attempt._runner.pid


TARGETS: dict[str, Callable[[Attempt], int]] = {
    "kill_runner": _runner_pid,
    "kill_slot": lambda _: os.getpid(),
    "kill_main": lambda _: os.getppid(),
}


def arm(folder: Path, job_id: str, **what: Any) -> None:
    """Let the worker that comes to a place with this job be harmed there."""
    (folder / job_id).write_text(json.dumps(what))


def struck(folder: Path, job_id: str) -> str | None:
    """What was harmed of the one who came there; None while nobody came."""
    path = folder / f"{job_id}.struck"
    return path.read_text() if path.exists() else None


def _take(job_id: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """What is to happen here, to the first who asks."""
    folder = Path(os.environ[ARMED])
    try:
        what: dict[str, Any] = json.loads((folder / job_id).read_text())
        if not fits(what):
            return None
        (folder / job_id).rename(folder / f"{job_id}.taken")
    except FileNotFoundError:
        return None
    path = folder / f"{job_id}.part"
    path.write_text(f"pid {os.getpid()}: {what}")
    path.rename(folder / f"{job_id}.struck")
    return what


def _come(job_id: str, point: str, moment: str, error: type[Exception] = OperationalError) -> None:
    """Be harmed if this is the place."""
    what = _take(job_id, lambda it: (it["point"], it.get("moment")) == (point, moment))
    if what is None:
        return
    if what["how"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what["how"] == "pause":
        wake = f"sleep {what['seconds']}; kill -CONT {os.getpid()}"
        subprocess.Popen(["/bin/sh", "-c", wake], start_new_session=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif error is OperationalError:
        raise OperationalError("COMMIT", None, ConnectionError("the answer was lost"))
    else:
        raise error("the answer was lost")


def _at_commits() -> None:
    """Come by before and after the commit of what a use case did."""
    for name, point in USE_CASES.items():
        setattr(jobs, name, _marking(point, getattr(jobs, name)))
    for moment in ("before", "after"):

        def passed(session: Session, moment: str = moment) -> None:
            for job_id, point in session.info.get("points", ()):
                _come(job_id, point, moment)

        event.listen(Session, f"{moment}_commit", passed)


def _marking(point: str, do: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(do)
    def marked(session: Session, job: Any, *given: Any, **named: Any) -> Any:
        """`job` is the id of one, or the attempt numbers of several by id."""
        done = do(session, job, *given, **named)
        if done is not None or point != "claim":
            job_ids = [job] if isinstance(job, str) else list(job)
            points = session.info.setdefault("points", [])
            points += [(job_id, point) for job_id in job_ids]
        return done

    return marked


def _at_files() -> None:
    """Come by before and after a file is put into the store."""
    put = Store.put_file

    def put_file(store: Store, source: Path, key: str) -> None:
        kind, _, rest = key.partition("/")
        job_id, point = rest.partition("/")[0], FILES.get(kind, kind)
        _come(job_id, point, "before", UnavailableError)
        put(store, source, key)
        _come(job_id, point, "after", UnavailableError)

    mock.patch.object(Store, "put_file", put_file).start()


def _at_steps() -> None:
    """From a step on, a moment later, a process that has to do with it is killed."""
    take = Attempt._take_event

    def take_event(attempt: Attempt, document: dict[str, Any]) -> None:
        take(attempt, document)
        step = attempt._task.step
        what = _take(
            attempt._members.first.job_id, lambda it: it["point"] == "step" and step >= it["step"]
        )
        if what is not None:
            pid = TARGETS[what["how"]](attempt)
            threading.Timer(what["seconds"], os.kill, (pid, signal.SIGKILL)).start()

    mock.patch.object(Attempt, "_take_event", take_event).start()


if __name__ == "__main__":
    _at_commits()
    _at_files()
    _at_steps()
    sys.exit(main())
