"""Run a command that the kernel kills when its parent ends.

`python parent_death.py PARENT COMMAND...` requests SIGKILL for the end of PARENT and then executes
COMMAND. On macOS the kernel does not support this: children end only when the parent stops them.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Request the signal and replace this process by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # If the parent died before the request, no signal will come.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  # nosec B606  # no shell


if __name__ == "__main__":
    main()
