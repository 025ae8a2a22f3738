"""The inequalities between timeouts that safety depends on, checked before a process starts."""

from core.errors import InvalidError
from core.settings import Settings

STATEMENT_SHARE = 0.3
"""The share of a lease that one database statement may take: one that hangs leaves time for two."""

KILL_SECONDS = 0.15
"""The longest time from the end of a lease to the end of the runner: one check and a SIGKILL."""


def check(settings: Settings) -> None:
    """Check the timeouts. Raises InvalidError that names the setting to change."""
    lease = settings.lease_seconds
    rules = (
        (
            settings.self_fence_seconds + KILL_SECONDS <= lease,
            "too short for a runner to stop in time",
        ),
        (settings.renew_seconds <= lease / 5, "not renewed often enough"),
        (settings.reap_seconds <= lease / 10, "not checked often enough"),
        (lease * STATEMENT_SHARE < lease / 3, "shorter than three statements"),
    )
    for holds, what in rules:
        if not holds:
            raise InvalidError(
                f"a lease of {lease} seconds is {what}: set CHAINRULE_LEASE_SECONDS to 1 or more"
            )
