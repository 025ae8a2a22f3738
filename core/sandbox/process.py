"""What a process asks of the kernel for itself: limits, its end, and the privacy of its memory."""

import resource
import signal
import sys

from core.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl


def end_with_parent(how: signal.Signals) -> None:
    """Have the kernel signal this process when the thread that started it ends (Linux)."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, how)


def limit(which: int, most: int) -> None:
    """Lower a limit of `resource`, soft and hard, unless it is lower already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def hide_memory() -> None:
    """Let no process of the same user read the memory or environment of this one (Linux).

    Processes that it forks are hidden, too; programs that it executes are not. Root may still
    trace it. There are no core dumps.
    """
    if sys.platform == "linux":
        prctl(PR_SET_DUMPABLE, 0)
