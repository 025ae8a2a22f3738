"""A Redis transport for Celery that drops malformed messages instead of ending the worker.

Otherwise anybody who reaches the broker could stop every worker with one list item.
"""

from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis

log = structlog.get_logger()

_NAMES = ("redis", "rediss")


class Channel(redis.Channel):  # type: ignore[misc]
    """Reads messages; a malformed item counts as none."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Errors of the connection are not among these: they propagate, and kombu reconnects.
            log.warning("a malformed message was dropped", reason=type(error).__name__)
            raise Empty from error


class Transport(redis.Transport):  # type: ignore[misc]
    """The Redis transport with hardened channels."""

    Channel = Channel


def harden() -> None:
    """Let this process read redis:// brokers through this transport."""
    for name in _NAMES:
        TRANSPORT_ALIASES[name] = f"{__name__}:{Transport.__name__}"
