"""The confinement of a runner: no credentials, limited memory, and an end with its parent.

The environment is made anew by an allow-list, so a password in ours can never reach the code that
executes what strangers specified.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import core

_PASSED = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        # The worker records the BLAS kernel of its own process: the runner has to use the same.
        "OPENBLAS_CORETYPE",
    }
)
_PASSED_PREFIXES = ("CUDA_", "CUPY_", "NVIDIA_", "NUMBA_")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_MOST_FILES = 1024
_PR_SET_PDEATHSIG = 1


def environment(given: Mapping[str, str], threads: int) -> dict[str, str]:
    """The environment of a runner that may use `threads` threads for arithmetic."""
    passed = {
        name: value
        for name, value in given.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    fixed = {
        "PYTHONPATH": str(Path(core.__path__[0]).parent),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    return passed | fixed | {name: str(threads) for name in _THREADS}


def share_of_cores(threads: int, slots: int) -> int:
    """The threads of a slot: `threads`, or an even share of the cores when that is 0."""
    if threads:
        return threads
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // slots)


def confine(memory_bytes: int) -> None:
    """Limit this process for good; `memory_bytes` 0: no limit."""
    end_with_parent(signal.SIGKILL)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    if memory_bytes:
        _limit(resource.RLIMIT_AS, memory_bytes)


def end_with_parent(how: signal.Signals) -> None:
    """Have the kernel signal this process when the thread that started it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how, 0, 0, 0)


def _limit(which: int, most: int) -> None:
    """Lower a limit, unless it is lower already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))
