"""Listen for bells only while the worker takes jobs: others of the queue are to hear them."""

from typing import Any

import structlog
from celery import Celery, bootsteps

from worker.node.breaker import CircuitBreaker
from worker.node.drain import Drain

log = structlog.get_logger()

_LOOK_SECONDS = 0.5


def attend(app: Celery, drain: Drain, breaker: CircuitBreaker, queues: list[str]) -> None:
    """Have the worker of `app` stop listening to `queues` while it is to take no jobs.

    So it is while `drain` is wanted or `breaker` open.
    """

    class Attention(bootsteps.StartStopStep):  # type: ignore[misc]
        """Looks at the flag from the worker's own event loop."""

        requires = ("celery.worker.consumer:Tasks",)
        timer: Any = None
        listens = True

        def start(self, parent: Any) -> None:
            self.timer = parent.timer.call_repeatedly(_LOOK_SECONDS, self.look, (parent,))

        def stop(self, parent: Any) -> None:
            if self.timer is not None:
                self.timer.cancel()

        def look(self, consumer: Any) -> None:
            """Listen or not, as the flag says."""
            listens = not (drain.wanted or breaker.open)
            if self.listens is listens:
                return
            self.listens = listens
            log.info("listens for bells" if self.listens else "listens for no bells")
            for queue in queues:
                if self.listens:
                    consumer.add_task_queue(queue)
                else:
                    consumer.cancel_task_queue(queue)

    app.steps["consumer"].add(Attention)
