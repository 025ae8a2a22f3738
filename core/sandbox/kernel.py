"""Calls of the Linux kernel for which Python has no function."""

import ctypes
import os
import platform

from core.sandbox.numbers import NUMBERS

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

_LIBC = ctypes.CDLL(None, use_errno=True)
_MACHINES = {"x86_64": 0, "aarch64": 1}
_COLUMN = _MACHINES.get(platform.machine(), -1)


def number_of(name: str) -> int | None:
    """The number of a system call on this machine, None when it has none.

    Raises OSError for a kind of processor whose numbers are not known.
    """
    if _COLUMN < 0:
        raise OSError(f"the system calls of {platform.machine()} are not known")
    return NUMBERS[name][_COLUMN]


def system_call(name: str, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """The result of a system call; numbers are passed as `long`. Raises OSError."""
    number = number_of(name)
    assert number is not None, name
    passed = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *passed))


def prctl(option: int, *arguments: int) -> int:
    """The result of `prctl`. Raises OSError."""
    four = [ctypes.c_ulong(it) for it in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_LIBC.prctl(option, *four))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
