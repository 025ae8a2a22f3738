"""Apply a policy to this process, part by part, and report which parts hold."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from os import environ
from pathlib import Path

from core.sandbox import landlock, namespaces, seccomp
from core.sandbox.files import allowed
from core.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from core.sandbox.landlock import Files
from core.sandbox.policy import PARTS, Policy
from core.sandbox.process import end_with_parent

_OF_RIGHTS = ("network_namespace", "capabilities")
"""The parts that take away rights by which this process may read the files that it needs."""

Report = dict[str, str]
"""For each part of the sandbox an empty text if it holds, or else the reason why not."""


def enforce(policy: Policy, packages: Iterable[str]) -> Report:
    """Confine this process for good, as far as the kernel allows it. Call it before any thread.

    The folders of `packages` stay readable. The process is killed when its parent ends.
    """
    files = allowed(policy, packages, environ)
    parts: dict[str, Callable[[], object]] = {
        "network_namespace": namespaces.leave_network,
        "no_new_privs": lambda: prctl(PR_SET_NO_NEW_PRIVS, 1),
        "capabilities": namespaces.drop_capabilities,
        "landlock": lambda: landlock.restrict(files),
        "seccomp": lambda: seccomp.restrict(gpu=policy.gpu),
    }
    report = {name: _reason(name, parts[name], policy, files) for name in PARTS}
    if sys.platform == "linux":
        # A change of credentials makes the kernel forget both.
        prctl(PR_SET_DUMPABLE, 1)
        end_with_parent(signal.SIGKILL)
    return report


def _reason(name: str, apply: Callable[[], object], policy: Policy, files: Files) -> str:
    """Apply a part. Returns why it does not hold, an empty text if it does."""
    if name in policy.without:
        return "switched off"
    if sys.platform != "linux":
        return "only on Linux"
    if name in _OF_RIGHTS and _hides(apply, files.readable | files.writable):
        return "it would hide files that only root's rights open"
    try:
        apply()
    except OSError as error:
        return f"refused by the kernel: {error.strerror or error}"
    return ""


def _hides(apply: Callable[[], object], paths: Iterable[Path]) -> bool:
    """Whether a part keeps this process from paths that it can read; a child process tries it."""
    child = os.fork()
    if child == 0:
        before = _readable(paths)
        with suppress(OSError):  # The caller gets the same error, which says more.
            apply()
        os._exit(before != _readable(paths))
    return os.waitpid(child, 0)[1] != 0


def _readable(paths: Iterable[Path]) -> set[Path]:
    return {path for path in paths if os.access(path, os.R_OK, effective_ids=True)}
