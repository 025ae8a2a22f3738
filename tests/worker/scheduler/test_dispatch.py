"""Dispatching while no job is queued is cheap."""

import threading
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event

from tests.support.brokers import Broker
from tests.support.worker_cases import Bench
from worker.scheduler.__main__ import Scheduler


def test_an_idle_dispatch_sends_one_statement(bench: Bench, broker: Broker) -> None:
    settings = bench.settings.model_copy(update={"broker_url": SecretStr(broker.url)})
    scheduler, ended = Scheduler(settings), threading.Event()
    ended.set()
    statements: list[str] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    try:
        scheduler.dispatch()  # connects
        event.listen(scheduler._engine, "before_cursor_execute", count)
        assert scheduler.dispatch() == 0
        assert len(statements) == 1
        bench.submit()
        assert scheduler.dispatch() == 1
    finally:
        scheduler.run(ended)  # closes what it opened
