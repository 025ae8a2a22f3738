"""Apply a policy to this process, part by part, and report which parts hold."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from os import environ
from pathlib import Path

from core.sandbox import landlock, namespaces, seccomp
from core.sandbox.files import allowed
from core.sandbox.kernel import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from core.sandbox.policy import PARTS, Policy
from core.sandbox.process import end_with_parent

_OF_RIGHTS = ("network_namespace", "capabilities")
"""The parts that take away rights by which this process may read Python itself."""

Report = dict[str, str]
"""For each part of the sandbox an empty text if it holds, or else the reason why not."""


def enforce(policy: Policy, packages: Iterable[str]) -> Report:
    """Confine this process for good, as far as the kernel allows it. Call it before any thread.

    The folders of `packages` stay readable. The process is killed when its parent ends.
    """
    parts: dict[str, Callable[[], object]] = {
        "network_namespace": namespaces.leave_network,
        "no_new_privs": lambda: prctl(PR_SET_NO_NEW_PRIVS, 1),
        "capabilities": namespaces.drop_capabilities,
        "landlock": lambda: landlock.restrict(allowed(policy, packages, environ)),
        "seccomp": lambda: seccomp.restrict(gpu=policy.gpu),
    }
    report = {name: _reason(name, parts[name], policy) for name in PARTS}
    if sys.platform == "linux":
        # A change of credentials makes the kernel forget both.
        prctl(PR_SET_DUMPABLE, 1)
        end_with_parent(signal.SIGKILL)
    return report


def _reason(name: str, apply: Callable[[], object], policy: Policy) -> str:
    """Apply a part. Returns why it does not hold, an empty text if it does."""
    if name in policy.without:
        return "switched off"
    if sys.platform != "linux":
        return "only on Linux"
    if name in _OF_RIGHTS and not _leaves_python(apply):
        return "Python is in a folder that only root may enter"
    try:
        apply()
    except OSError as error:
        return f"refused by the kernel: {error.strerror or error}"
    return ""


def _leaves_python(apply: Callable[[], object]) -> bool:
    """Whether Python can still be read after a part is applied; a child process tries it."""
    library = Path(os.__file__).parent
    child = os.fork()
    if child == 0:
        try:
            apply()
        except OSError:
            os._exit(0)  # The caller gets the same error, which says more.
        os._exit(not os.access(library, os.R_OK | os.X_OK, effective_ids=True))
    return os.waitpid(child, 0)[1] == 0
