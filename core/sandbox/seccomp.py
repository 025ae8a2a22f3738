"""A seccomp filter: the system calls that neither training nor parsing needs are refused.

The filter is a program of the kernel's packet filter: it reads the number and the arguments of a
call and returns what to do. See https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

import ctypes
import errno
import os
import platform
import socket
import struct

from core.sandbox.kernel import number_of, system_call
from core.sandbox.numbers import NUMBERS

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in what the filter reads
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSED, _UNKNOWN = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS

_FIRST_UNKNOWN = 463
"""The first number that `NUMBERS` does not know: calls that newer kernels add are refused."""

_MODE_FILTER = 1
_NO_MITIGATION = 1 << 2  # without it, kernels before 5.16 slow the process down
_CLONE_THREAD = 0x00010000
_SOCKET_TYPES = 0xF

_TO_ITSELF = frozenset({"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"})
"""Calls that a process may do to itself: their first argument is a process id."""
_TO_CALLER = frozenset({"prlimit64", "sched_setaffinity"})
"""The same, but 0 means the caller."""
_OF_LANDLOCK = frozenset(
    {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"}
)
"""Calls of which `NUMBERS` has the number because this package makes them."""
_LISTENING = frozenset({"bind", "listen", "accept", "accept4"})

Program = list[tuple[int, int, int, int]]
"""Instructions: operation, how many to skip if true and if false, operand."""


def restrict(*, gpu: bool) -> None:
    """Refuse calls to this thread and what it starts, for good. Needs `no_new_privs`.

    With `gpu`, it may listen on a Unix socket, as CUDA does, but connect to none. Raises OSError.
    """
    program = compiled(os.getpid(), gpu=gpu)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(instructions))
    given = ctypes.create_string_buffer(header, len(header))
    try:
        system_call("seccomp", _MODE_FILTER, _NO_MITIGATION, given)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        system_call("seccomp", _MODE_FILTER, 0, given)


def compiled(pid: int, *, gpu: bool) -> Program:
    """The filter for the process `pid`. Raises OSError for an unknown kind of processor."""
    program: Program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES.get(platform.machine(), 0)),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _FIRST_UNKNOWN),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    for name in NUMBERS.keys() - _OF_LANDLOCK - (_LISTENING if gpu else set()):
        number = number_of(name)
        if number is not None:
            then = _verdict(name, pid, gpu=gpu)
            program += [(_EQUAL, 0, len(then), number), *then]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _verdict(name: str, pid: int, *, gpu: bool) -> Program:
    """The instructions for one call."""
    refuse, allow = (_RETURN, 0, 0, _REFUSED), (_RETURN, 0, 0, _ALLOW)
    if name in _TO_ITSELF:
        return [_argument(0), (_EQUAL, 1, 0, pid), refuse, allow]
    if name in _TO_CALLER:
        return [_argument(0), (_EQUAL, 2, 0, pid), (_EQUAL, 1, 0, 0), refuse, allow]
    if name == "clone":  # threads, but no processes
        return [_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse, allow]
    if name == "clone3":  # its flags cannot be read here; the C library uses clone instead
        return [(_RETURN, 0, 0, _UNKNOWN)]
    if name == "socket" and gpu:  # Unix sockets that need a connection before they send
        return [
            _argument(0),
            (_EQUAL, 0, 4, socket.AF_UNIX),
            _argument(1),
            (_AND, 0, 0, _SOCKET_TYPES),
            (_EQUAL, 2, 0, socket.SOCK_STREAM),
            (_EQUAL, 1, 0, socket.SOCK_SEQPACKET),
            refuse,
            allow,
        ]
    return [refuse]


def _argument(place: int) -> tuple[int, int, int, int]:
    """Load the lower half of an argument; both processors are little-endian."""
    return _LOAD, 0, 0, _ARGUMENTS + 8 * place
