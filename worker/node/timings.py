"""The inequalities between timeouts on which safety rests, checked before a process begins."""

from core.errors import InvalidError
from core.settings import Settings

STATEMENT_SHARE = 0.3
"""A database statement may take this share of a lease: one that hangs leaves time for two more."""

KILL_SECONDS = 0.15
"""From the end of a lease to the end of the runner: a look, and a SIGKILL."""


def check(settings: Settings) -> None:
    """Raise InvalidError naming what to change when the timeouts do not fit together."""
    lease = settings.lease_seconds
    rules = (
        (settings.self_fence_seconds + KILL_SECONDS <= lease, "too short to stop in time"),
        (settings.renew_seconds <= lease / 5, "renewed too seldom"),
        (settings.reap_seconds <= lease / 10, "looked after too seldom"),
        (lease * STATEMENT_SHARE < lease / 3, "shorter than three statements"),
    )
    for holds, what in rules:
        if not holds:
            raise InvalidError(
                f"a lease of {lease} seconds is {what}: set CHAINRULE_LEASE_SECONDS to 1 or more"
            )
