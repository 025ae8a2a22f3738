"""Machines made of network namespaces on a switch: each has an address and loopback of its own."""

import ctypes
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.namespaces import ip, namespace

CLONE_NEWNET = 0x40000000


@contextmanager
def switched(count: int) -> Iterator[dict[str, str]]:
    """Addresses of `count` machines by their names; they are gone when the context ends.

    Raises OSError or CalledProcessError where namespaces cannot be made: that takes root and `ip`.
    """
    number = uuid.uuid4().int
    switch, network = f"crs{number % 2**24:06x}", f"10.214.{number % 256}"
    with ExitStack() as opened:
        ip("link", "add", switch, "type", "bridge")
        opened.callback(ip, "link", "del", switch)
        ip("link", "set", switch, "up")
        addresses = {}
        for at in range(count):
            name, link = f"{switch}-{at}", f"cr{number % 2**20:05x}{at}"
            addresses[name] = f"{network}.{at + 1}"
            opened.enter_context(namespace(name, link, f"{addresses[name]}/24"))
            ip("link", "set", link, "master", switch)
        yield addresses


def enter(name: str) -> None:
    """Move this thread, and those it starts, to the machine `name`."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open() as place:
        if libc.setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
