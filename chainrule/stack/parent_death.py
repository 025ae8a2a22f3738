"""Become a command that dies with the process that started it.

`python parent_death.py PARENT COMMAND...` asks the kernel for SIGKILL when PARENT ends, however it
ends, and then becomes COMMAND. Where the kernel cannot (macOS), only an orderly end takes
children along.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and replace it by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before the request was made sends nothing any more.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
