"""Celery's way to the broker, hardened: what is no message is dropped instead of ending the worker.

Anybody who reaches the broker could otherwise stop every worker with one list item.
"""

from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis

log = structlog.get_logger()

_NAMES = ("redis", "rediss")


class Channel(redis.Channel):  # type: ignore[misc]
    """Reads bells; an item that cannot be read as one counts as none."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Errors of the connection are none of these: they go on and have it made anew.
            log.warning("garbage in the queue was dropped", reason=type(error).__name__)
            raise Empty from error


class Transport(redis.Transport):  # type: ignore[misc]
    """The Redis transport with hardened channels."""

    Channel = Channel


def harden() -> None:
    """Have this process read redis:// brokers through it."""
    for name in _NAMES:
        TRANSPORT_ALIASES[name] = f"{__name__}:{Transport.__name__}"
