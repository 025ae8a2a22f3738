"""The limits of a runner: what it may read, what of our environment it gets, how much memory.

The environment is made anew by an allow-list, so a password in ours can never reach the code that
executes what strangers specified.
"""

import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from core.sandbox.policy import Policy
from core.sandbox.policy import environment as sandbox_environment
from core.sandbox.process import limit
from core.settings import Settings

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


def environment(given: Mapping[str, str], threads: int, policy: Policy) -> dict[str, str]:
    """The environment of a runner that may use `threads` threads for arithmetic.

    Its temporary files are in the first folder that `policy` lets it write.
    """
    passed = {
        name: value
        for name, value in given.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    temporary = {"TMPDIR": policy.writable[0]} if policy.writable else {}
    arithmetic = {name: str(threads) for name in _THREADS}
    return passed | sandbox_environment() | fixed | temporary | arithmetic


def runner_policy(settings: Settings, folder: Path) -> Policy:
    """What a runner may do: read the cache of datasets and checkpoints, and write `folder`."""
    return Policy(
        readable=(str((settings.data_dir / "cache").absolute()),),
        writable=(str(folder.absolute()),),
        gpu="gpu" in settings.queues,
        without=settings.parts_without,
    )


def share_of_cores(threads: int, slots: int) -> int:
    """The threads of a slot: `threads`, or an even share of the cores when that is 0."""
    if threads:
        return threads
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // slots)


def limit_resources(memory_bytes: int) -> None:
    """Limit this process for good; `memory_bytes` 0: no limit."""
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    if memory_bytes:
        limit(resource.RLIMIT_AS, memory_bytes)
