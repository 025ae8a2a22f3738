"""What an attack on a sandbox is, and what it is tried on."""

import errno
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENETUNREACH, errno.EXDEV})
"""The errors by which a kernel refuses; any other shows that the attempt was let through."""

LANDLOCK, SECCOMP, NETWORK = "landlock", "seccomp", "network_namespace"
CAPABILITIES = "capabilities"
LANDLOCK_TCP, LANDLOCK_SCOPES = "landlock:4", "landlock:6"
"""Landlock of a kernel that has at least this version of it."""


@dataclass(frozen=True)
class Target:
    """What is attacked: a process, files of others, servers, and the folder that is its own."""

    process: int
    database: str
    folder: str
    own: str
    port: int
    socket: str
    abstract: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


Attempt = Callable[[Target], None]


@dataclass(frozen=True)
class Attack:
    """An attempt, and the parts of the sandbox each of which alone refuses it."""

    attempt: Attempt
    parts: tuple[str, ...]

    def outcome(self, target: Target) -> str:
        """Try it. Returns `refused`, or what happened instead."""
        try:
            self.attempt(target)
        except OSError as error:
            if error.errno in REFUSALS:
                return "refused"
            return f"not refused: {errno.errorcode.get(error.errno or 0, error)}"
        return "done"


Attacks = dict[str, Attack]


def adding(attacks: Attacks) -> Callable[..., Callable[[Attempt], Attempt]]:
    """A decorator, given the parts that refuse, which adds a function to `attacks`."""

    def attack(*parts: str) -> Callable[[Attempt], Attempt]:
        def add(attempt: Attempt) -> Attempt:
            attacks[attempt.__name__] = Attack(attempt, parts)
            return attempt

        return add

    return attack
