"""What a sandboxed process may still do, and the command that starts one."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import core

PARTS = ("network_namespace", "no_new_privs", "capabilities", "landlock", "seccomp")
"""The parts of the sandbox, in the order in which they are applied."""


@dataclass(frozen=True)
class Policy:
    """The files that a sandboxed process needs in addition to Python and its packages.

    It may read `readable` and write `writable`: files or folders, which exist when it starts.
    With `gpu` it may also use the files and calls that CUDA needs. The parts `without` are left
    out.
    """

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    gpu: bool = False
    without: tuple[str, ...] = ()

    def dumps(self) -> str:
        """The policy as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Self:
        """The policy that `dumps` wrote."""
        fields = json.loads(text)
        return cls(
            tuple(fields["readable"]),
            tuple(fields["writable"]),
            fields["gpu"],
            tuple(fields["without"]),
        )


def command(policy: Policy, module: str, *arguments: str) -> list[str]:
    """The command that runs a module, which it does not import before `policy` holds.

    Start it with `environment`, so that it imports this code.
    """
    return [sys.executable, "-m", "core.sandbox", policy.dumps(), module, *arguments]


def environment() -> dict[str, str]:
    """The variables that every sandboxed process gets; it gets no others of ours by itself."""
    return {
        "PYTHONPATH": str(Path(core.__path__[0]).parent),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
