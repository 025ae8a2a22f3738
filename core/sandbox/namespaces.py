"""A network of its own without connections, and no capabilities."""

import ctypes
import os
import struct
from pathlib import Path

from core.sandbox.kernel import system_call

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_CAPABILITIES_VERSION = 0x20080522


def leave_network() -> None:
    """Move this process into an empty network and without the shared memory of others.

    Without root it needs a user namespace, in which it keeps its user. Raises OSError.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        system_call("unshare", _CLONE_NEWNET | _CLONE_NEWIPC)
    except PermissionError:
        system_call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)
        itself = Path("/proc/self")
        (itself / "setgroups").write_text("deny")
        (itself / "uid_map").write_text(f"{user} {user} 1")
        (itself / "gid_map").write_text(f"{group} {group} 1")


def drop_capabilities() -> None:
    """Give up all capabilities of this thread, those of root too. Raises OSError."""
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    none = bytes(24)
    system_call(
        "capset",
        ctypes.create_string_buffer(header, len(header)),
        ctypes.create_string_buffer(none, len(none)),
    )
