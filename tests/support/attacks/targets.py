"""What a sandboxed process may attack: files, servers and processes made for that."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from core.sandbox import landlock
from core.sandbox.policy import Policy
from core.sandbox.probe import probe
from tests.support.attacks.attack import Target
from tests.support.attacks.attacker import ATTACKS

TESTS = str(Path(__file__).parents[2])
"""The folder of the tests, which an attacking process imports."""


@contextmanager
def targets(data: Path, folder: Path, own: Path, process: int) -> Iterator[Target]:
    """A database in `data`, files of a job in `folder` and servers, all newly made.

    The attacking process may write `own`; `process` is another one.
    """
    for made in (data, folder, own):
        made.mkdir(parents=True, exist_ok=True)
    database = data / "chainrule.sqlite"
    database.write_bytes(b"rows")
    (folder / "checkpoint").write_bytes(b"weights")
    address, abstract = folder / "broker", f"chainrule-{secrets.token_hex(8)}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as unnamed,
    ):
        named.bind(str(address))
        unnamed.bind(f"\0{abstract}")
        for listening in (named, unnamed):
            listening.listen()
        port = server.getsockname()[1]
        yield Target(process, str(database), str(folder), str(own), port, str(address), abstract)


@cache
def holding() -> frozenset[str]:
    """The parts that this kernel has, and `landlock:N` for each version up to its own."""
    parts = {name for name, reason in probe(Policy()).items() if not reason}
    versions = range(1, landlock.version() + 1) if "landlock" in parts else ()
    return frozenset(parts | {f"landlock:{number}" for number in versions})


def skip_unless_refused(name: str) -> None:
    """Skip a test of an attack against which this kernel has nothing."""
    if not holding() & set(ATTACKS[name].parts):
        pytest.skip(f"this kernel has none of {', '.join(ATTACKS[name].parts)}")
