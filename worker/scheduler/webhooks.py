"""Sends what webhooks are to be told. One that is slow or away holds up no other."""

from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from sqlalchemy import Engine

from core import notices
from core.db.session import reading, transaction
from core.errors import ChainruleError
from core.settings import Settings

log = structlog.get_logger()

_AT_ONCE = 8
_IN_A_ROW = 50


class Courier:
    """Serves each webhook that something is due for in a thread, one message after the other."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._allow_private = settings.webhooks_allow_private
        self._first_pause_seconds = settings.webhook_retry_seconds
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")
        self._served: dict[str, Future[None]] = {}

    def turn(self) -> None:
        """Begin to serve whom nobody serves yet. Raises UnavailableError."""
        self._served = {key: one for key, one in self._served.items() if not one.done()}
        with reading(self._engine) as session:
            due = notices.due(session)
        for webhook_id in due:
            if webhook_id not in self._served:
                self._served[webhook_id] = self._threads.submit(self._serve, webhook_id)

    def close(self) -> None:
        """Begin no more. What is under way is sent again later, should it not be recorded."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _serve(self, webhook_id: str) -> None:
        try:
            for _ in range(_IN_A_ROW):
                if not self._send_next(webhook_id):
                    return
        except ChainruleError as error:
            log.warning("webhooks are not served now", webhook=webhook_id, why=error.detail)
        except Exception:
            log.exception("a webhook was not served", webhook=webhook_id)

    def _send_next(self, webhook_id: str) -> bool:
        """Send the next message; whether it arrived. If not, the others wait a turn as well."""
        with transaction(self._engine) as session:
            message = notices.claim(session, webhook_id)
        if message is None:
            return False
        outcome = notices.send(
            message.url,
            message.secret,
            message.message_id,
            message.body,
            allow_private=self._allow_private,
        )
        with transaction(self._engine) as session:
            notices.record(session, message, outcome, first_pause_seconds=self._first_pause_seconds)
        if not outcome.delivered:
            # Never the address: it may be secret itself.
            log.info(
                "a message did not arrive",
                webhook=webhook_id,
                delivery=message.delivery_id,
                attempt=message.attempt,
                why=outcome.error,
            )
        return outcome.delivered
