"""Send the messages of webhooks. A slow webhook delays no other."""

from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from sqlalchemy import Engine

from core import notices
from core.db.session import reading, transaction
from core.errors import ChainruleError
from core.settings import Settings

log = structlog.get_logger()

_MAX_THREADS = 8
_MAX_IN_A_ROW = 50


class WebhookSender:
    """Sends the due messages of each webhook from a thread, one message after the other."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._allow_private = settings.webhooks_allow_private
        self._first_pause_seconds = settings.webhook_retry_seconds
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="webhook")
        self._sending: dict[str, Future[None]] = {}

    def look(self) -> None:
        """Start sending for webhooks with due messages. Raises UnavailableError."""
        self._sending = {
            webhook_id: future for webhook_id, future in self._sending.items() if not future.done()
        }
        with reading(self._engine) as session:
            due = notices.due(session)
        for webhook_id in due:
            if webhook_id not in self._sending:
                self._sending[webhook_id] = self._threads.submit(self._send_due, webhook_id)

    def close(self) -> None:
        """Start no more. A message whose outcome is not recorded by now is sent again later."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send_due(self, webhook_id: str) -> None:
        try:
            for _ in range(_MAX_IN_A_ROW):
                if not self._send_next(webhook_id):
                    return
        except ChainruleError as error:
            log.warning("cannot send webhooks", webhook=webhook_id, reason=error.detail)
        except Exception:
            log.exception("a webhook failed unexpectedly", webhook=webhook_id)

    def _send_next(self, webhook_id: str) -> bool:
        """Send the next message; whether it was delivered. If not, the rest wait as well."""
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
            # Without the URL, which may be secret.
            log.info(
                "a message was not delivered",
                webhook=webhook_id,
                delivery=message.delivery_id,
                attempt=message.attempt,
                reason=outcome.error,
            )
        return outcome.delivered
