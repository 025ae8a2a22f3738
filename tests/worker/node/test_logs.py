"""What stands in the log of a worker."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from worker.node import logs


@pytest.fixture
def configured() -> Iterator[None]:
    """The logging of a worker, undone afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure(node="n1")
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("configured")
def test_celery_calls_no_failed_job_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    # The handler writes to the stream that was standard error when it was made.
    logs.configure(node="n1")
    logging.getLogger("celery.app.trace").info("Task train succeeded in 1.5s: None")
    structlog.get_logger().info("the attempt ended", status="failed")
    logging.getLogger("celery.app.trace").error("Task train raised unexpected")
    error = capsys.readouterr().err
    assert "succeeded" not in error
    assert 'event="the attempt ended"' in error
    assert "raised unexpected" in error
