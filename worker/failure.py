"""Causes of failed and lost attempts, as plain documents: `kind`, `message` and details."""

import signal
from typing import Any

from core.data.storage.stores import Store
from core.errors import ChainruleError, InvalidError, NotFoundError, TooLargeError, UnavailableError
from core.jobs import DATA_DAMAGED, DATA_MISSING, DATA_TOO_LARGE, OUT_OF_MEMORY
from core.shortage import Shortage, shortage
from worker.runner.cgroup import MemoryWatch
from worker.runner.inbox import LEASE_RAN_OUT

Cause = dict[str, Any]

USER_ERROR = "user_error"
"""The spec or its data cannot be trained: every attempt would end in the same way."""

BAD_CHECKPOINT = "bad_checkpoint"
"""The checkpoint to resume from cannot be used; an older one, or the beginning, may."""

DATA_UNAVAILABLE = "data_unavailable"
"""The store or the cache of this machine does not answer, refuses, or is full."""

WORKER_OUT_OF_MEMORY = "worker_out_of_memory"
"""The worker itself ran out of memory, not the runner, which has a limit of its own."""

WORKER_FAULT = "worker_fault"
"""The operating system refused something to the worker, or let it run too late."""

MACHINE_KINDS = {
    DATA_UNAVAILABLE,
    WORKER_OUT_OF_MEMORY,
    WORKER_FAULT,
    *(lack.value for lack in Shortage if lack is not Shortage.OUT_OF_MEMORY),
}
"""Causes that are the machine's: never charged to the job.

The memory of a runner is not one of them, because the job decides how much it needs.
"""

DATA_ERRORS = (UnavailableError, NotFoundError, InvalidError, TooLargeError, OSError, MemoryError)
"""The exceptions of fetching the data or files of a job."""


def by_machine(cause: Cause) -> bool:
    """Whether the machine is to blame for the loss of an attempt: then it is not charged."""
    return cause["kind"] in MACHINE_KINDS


def data_cause(error: Exception, store: Store) -> Cause:
    """The cause of an attempt whose data or files could not be fetched.

    A file counts as missing only when the store itself is reachable.
    """
    if isinstance(error, NotFoundError) and shortage(error) is None:
        try:
            store.confirm()
        except UnavailableError as unavailable:
            error = unavailable
    message = error.detail if isinstance(error, ChainruleError) else str(error)
    return {"kind": _data_kind(error), "message": message}


def _data_kind(error: Exception) -> str:
    if shortage(error) is None:
        match error:
            case NotFoundError():
                return DATA_MISSING
            case InvalidError():
                return DATA_DAMAGED
            case TooLargeError():
                return DATA_TOO_LARGE
            case UnavailableError():
                return DATA_UNAVAILABLE
    return str(worker_cause(error)["kind"])


def worker_cause(error: Exception) -> Cause:
    """The cause of an attempt that was lost by an unexpected exception in the worker.

    What the operating system refuses is the machine's fault; the rest may be the job's.
    """
    lack = shortage(error)
    if lack is Shortage.OUT_OF_MEMORY:
        kind: str = WORKER_OUT_OF_MEMORY
    elif lack is not None:
        kind = lack.value
    elif isinstance(error, OSError | UnavailableError):
        kind = WORKER_FAULT
    else:
        kind = "worker_error"
    return {"kind": kind, "message": f"{type(error).__name__}: {error}"}


def death(exit_code: int, watch: MemoryWatch, peak_memory_bytes: int | None) -> Cause:
    """The cause of an attempt whose runner ended without a message."""
    if exit_code == -signal.SIGKILL and watch.out_of_memory():
        limit = watch.limit_bytes()
        allowed = f" of {limit:,} bytes" if limit else ""
        used = f" at a peak of {peak_memory_bytes:,} bytes" if peak_memory_bytes else ""
        return {
            "kind": OUT_OF_MEMORY,
            "message": f"the kernel killed the runner{used}: its memory limit{allowed} was reached",
            "limit_bytes": limit,
        }
    if exit_code == LEASE_RAN_OUT:
        message = "the runner ended by itself: the worker did not extend its lease in time"
        return {"kind": WORKER_FAULT, "message": message}
    if exit_code < 0:
        name = _signal_name(-exit_code)
        return {"kind": "signal", "message": f"the runner was ended by {name}", "signal": name}
    return {"kind": "exit", "message": f"the runner ended by itself with exit code {exit_code}"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
