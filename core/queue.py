"""The broker, through Celery. It carries wake-up messages; the database holds the state.

A message holds nothing but the id of a job. Lost, repeated, late or foreign messages do no harm: a
worker claims the job in the database or drops the message, and the scheduler sends another one.
"""

import re
from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import KombuError

from core.errors import InvalidError, UnavailableError
from core.settings import Settings

TRAIN = "chainrule.train"
"""The name of the only task; its argument is the id of a job."""

QUEUES = ("cpu", "gpu")
"""The queues, named after the device of a job."""

KEY_PREFIX = "chainrule:"
"""The prefix of every key in the broker, for access rules and shared brokers."""

PUBLISH_SECONDS = 3.0
"""How long a process that only publishes waits for the broker."""

_CONSUME_SECONDS = 5.0
_SECRET = re.compile(r"//[^/@\s]*@")


def make_celery(settings: Settings, *, publish_seconds: float | None = None) -> Celery:
    """The Celery app for the broker in `settings`.

    Give `publish_seconds` in a process that only publishes: it waits no longer than that for a
    broker that hangs. Leave it out in a worker. Raises InvalidError without a broker URL.
    """
    url = settings.broker_url.get_secret_value()
    if not url:
        raise InvalidError("no broker: set CHAINRULE_BROKER_URL, say to redis://localhost:6379/0")
    app = Celery("chainrule", broker=url, set_as_current=False)
    app.conf.update(_TASKS)
    app.conf.update(_connection(publish_seconds))
    app.conf.update(_worker(settings))
    return app


def notify(app: Celery, job_id: str, queue: str) -> None:
    """Send a message that wakes a worker of `queue` for a job.

    Raises UnavailableError when the broker does not accept it within about the `publish_seconds` of
    `app`, ValueError for an unknown queue.
    """
    if queue not in QUEUES:
        raise ValueError(f"there is no queue {queue}; there are {', '.join(QUEUES)}")
    try:
        app.send_task(TRAIN, args=[job_id], queue=queue, retry=False, ignore_result=True)
    except (KombuError, OSError, *_broker_errors(app)) as error:
        raise UnavailableError(f"the broker does not answer: {_without_password(error)}") from error


def waiting(app: Celery, queue: str) -> int:
    """The number of messages in `queue`. Raises UnavailableError."""
    try:
        with app.pool.acquire(block=True, timeout=PUBLISH_SECONDS) as connection:
            return int(connection.default_channel.queue_declare(queue).message_count)
    except (KombuError, OSError, *_broker_errors(app)) as error:
        raise UnavailableError(f"the broker does not answer: {_without_password(error)}") from error


def _broker_errors(app: Celery) -> tuple[type[Exception], ...]:
    connection = app.connection_for_write()
    return (*connection.connection_errors, *connection.channel_errors)


def _without_password(error: BaseException) -> str:
    return _SECRET.sub("//", str(error)) or type(error).__name__


_TASKS: dict[str, Any] = {
    # A message is removed when it is delivered, never redelivered, never counted.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_acks_on_failure_or_timeout": True,
    "task_ignore_result": True,
    "result_backend": None,
    "task_publish_retry": False,
    "task_time_limit": None,
    "task_soft_time_limit": None,
    "task_create_missing_queues": False,
    "task_default_queue": "cpu",
    # Without acknowledgement: if it failed because the broker went away, the message would count as
    # outstanding for ever, and the worker would receive no other one on its new connection.
    "task_queues": [Queue(name, Exchange(name), routing_key=name, no_ack=True) for name in QUEUES],
    # With pickle, anyone with access to the broker could run code.
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_accept_content": ["json"],
    "enable_utc": True,
}


def _connection(publish_seconds: float | None) -> dict[str, Any]:
    """Timeouts: by default, publishing to a frozen broker hangs for ever."""
    socket_seconds = publish_seconds or _CONSUME_SECONDS
    connect_seconds = publish_seconds or PUBLISH_SECONDS
    # A publisher fails at once when the broker refuses the connection; a worker keeps trying.
    retries = {} if publish_seconds is None else {"max_retries": 1, "interval_start": 0}
    return {
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_connection_timeout": connect_seconds,
        "broker_pool_acquire_timeout": 5.0 if publish_seconds is None else publish_seconds,
        "broker_pool_limit": 4,
        "broker_transport_options": {
            # Applies to messages that were received and not started; equal in all processes.
            "visibility_timeout": 60,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": socket_seconds,
            "socket_connect_timeout": connect_seconds,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
            "global_keyprefix": KEY_PREFIX,
            "priority_steps": [0, 3, 6, 9],
            **retries,
        },
    }


def _worker(settings: Settings) -> dict[str, Any]:
    return {
        "worker_pool": "prefork",
        "worker_concurrency": settings.slots,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_max_tasks_per_child": 100,
        "worker_proc_alive_timeout": 30.0,
        "worker_soft_shutdown_timeout": 50.0,
        # A job continues during an outage of the broker.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }
