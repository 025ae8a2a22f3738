"""Consume messages only while the worker takes jobs, so that other workers receive them."""

from typing import Any

import structlog
from celery import Celery, bootsteps

from worker.node.breaker import CircuitBreaker
from worker.node.drain import Drain

log = structlog.get_logger()

_LOOK_SECONDS = 0.5


def pause_while_idle(app: Celery, drain: Drain, breaker: CircuitBreaker, queues: list[str]) -> None:
    """Stop the worker of `app` from consuming `queues` while it takes no jobs.

    That is while a drain is requested or the circuit breaker is open.
    """

    class QueuePause(bootsteps.StartStopStep):  # type: ignore[misc]
        """Checks both flags from the worker's own event loop."""

        requires = ("celery.worker.consumer:Tasks",)
        timer: Any = None
        consuming = True

        def start(self, parent: Any) -> None:
            self.timer = parent.timer.call_repeatedly(_LOOK_SECONDS, self.look, (parent,))

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            if self.timer is not None:
                self.timer.cancel()

        def look(self, consumer: Any) -> None:
            """Start or stop consuming, as the flags say."""
            consuming = not (drain.wanted or breaker.open)
            if self.consuming is consuming:
                return
            self.consuming = consuming
            log.info("consumes messages" if consuming else "consumes no messages")
            for queue in queues:
                if consuming:
                    consumer.add_task_queue(queue)
                else:
                    consumer.cancel_task_queue(queue)

    app.steps["consumer"].add(QueuePause)
