"""Landlock: which files this process may open, and whom it may signal or connect to.

The rights and their versions are those of https://docs.kernel.org/userspace-api/landlock.html.
"""

import os
import stat
import struct
from collections.abc import Iterable
from ctypes import create_string_buffer
from dataclasses import dataclass
from pathlib import Path

from core.sandbox.kernel import system_call

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_READ = _READ_FILE | _READ_DIR
# No links to other files, sockets, pipes or devices: the parent opens what it finds here.
_CHANGE = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights to files exist, from which version of Landlock on."""
_TCP = 0b11  # bind and connect, since version 4
_SCOPES = 0b11  # abstract Unix sockets and signals of other processes, since version 6
_GET_VERSION = 1
_PATH_BENEATH = 1


@dataclass(frozen=True)
class Files:
    """Files and folders with all below them, by what may be done with them.

    Of `devices`, files may be read, written and controlled. Paths that do not exist are ignored.
    """

    readable: frozenset[Path] = frozenset()
    writable: frozenset[Path] = frozenset()
    devices: frozenset[Path] = frozenset()


def version() -> int:
    """The version of Landlock of this kernel. Raises OSError when it has none."""
    return system_call("landlock_create_ruleset", None, 0, _GET_VERSION)


def restrict(files: Files) -> None:
    """Let this thread, and what it starts, open these files only, and execute none.

    It can no longer connect to TCP ports or trace processes outside; newer kernels also refuse
    signals and abstract Unix sockets. Needs `no_new_privs`. Raises OSError.
    """
    known = version()
    rights = (1 << max(count for since, count in _RIGHTS.items() if since <= known)) - 1
    attributes = struct.pack(
        "=QQQ", rights, _TCP if known >= 4 else 0, _SCOPES if known >= 6 else 0
    )[: 24 if known >= 6 else 16 if known >= 4 else 8]
    ruleset = system_call(
        "landlock_create_ruleset",
        create_string_buffer(attributes, len(attributes)),
        len(attributes),
        0,
    )
    try:
        _allow(ruleset, files.readable, _READ & rights)
        _allow(ruleset, files.writable, (_READ | _CHANGE) & rights)
        _allow(ruleset, files.devices, (_READ | _WRITE_FILE | _IOCTL_DEV) & rights)
        system_call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, paths: Iterable[Path], rights: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        try:
            folder = stat.S_ISDIR(os.fstat(place).st_mode)
            rule = struct.pack("=Qi", rights if folder else rights & _OF_FILES, place)
            system_call(
                "landlock_add_rule",
                ruleset,
                _PATH_BENEATH,
                create_string_buffer(rule, len(rule)),
                0,
            )
        finally:
            os.close(place)
