"""Structured logs on standard error: one line an event, with its job, attempt and node."""

import logging
import sys
from typing import Any

import structlog

_QUIET = (
    *("kombu", "amqp", "httpx", "httpcore", "botocore", "s3fs", "fsspec", "urllib3", "asyncio"),
    # For it, the task of a failed job "succeeded", too: our own lines say how the job ended.
    "celery.app.trace",
)


def configure(**always: Any) -> None:
    """Set up the logging of this process; the fields `always` are on every line."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    line = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            line,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.clear_contextvars()
    _ALWAYS.clear()
    _ALWAYS.update(always)
    structlog.contextvars.bind_contextvars(**always)


def forget_job() -> None:
    """Remove the fields of a job from the lines that follow."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**_ALWAYS)


_ALWAYS: dict[str, Any] = {}
