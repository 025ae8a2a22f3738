"""A stack starts for a command only where no server answers, on this machine."""

from pathlib import Path

import httpx
import pytest

from chainrule.client import Client
from chainrule.client.problem import AbsentServerError
from chainrule.stack.options import Options
from chainrule.stack.stack import Stack
from chainrule.stack.temporary import serving


class StartedError(Exception):
    """A stack is about to start, with these options."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.options = options


def refuse(request: httpx.Request) -> httpx.Response:
    """Answer as an address at which nothing listens."""
    raise httpx.ConnectError("refused", request=request)


def stop(stack: Stack) -> None:
    """Raise the options of a stack instead of starting it."""
    raise StartedError(stack.options)


@pytest.mark.parametrize("status", [200, 401, 503])
def test_a_server_that_answers_is_used(status: int, tmp_path: Path) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json={"status": "ok"}))
    server = Client("http://127.0.0.1:1", transport=answer)
    with server, serving(server, tmp_path, stop) as stack:
        assert stack is None
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://example.com:8000", "https://127.0.0.1:8000"])
def test_a_server_of_another_machine_is_not_replaced(url: str, tmp_path: Path) -> None:
    server = Client(url, transport=httpx.MockTransport(refuse))
    with server, pytest.raises(AbsentServerError), serving(server, tmp_path, stop):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_stack_gets_the_address_that_was_asked(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_STORE_URL", "s3://bucket")
    server = Client(f"http://{host}:8123", transport=httpx.MockTransport(refuse))
    with server, pytest.raises(StartedError) as started, serving(server, tmp_path, stop):
        pass
    options = started.value.options
    assert (options.data_dir, options.host, options.port) == (tmp_path, "127.0.0.1", 8123)
    assert (options.store_url, options.mlflow_port) == ("s3://bucket", 0)
