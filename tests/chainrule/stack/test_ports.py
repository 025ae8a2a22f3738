"""A busy port is one clear line."""

import socket

import pytest

from chainrule.stack import StackError, ports


def test_zero_is_any_free_port() -> None:
    port = ports.claim("127.0.0.1", 0, "--port")
    assert ports.claim("127.0.0.1", port, "--port") == port


def test_a_port_in_use_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} is in use.*--mlflow-port"):
            ports.claim("127.0.0.1", port, "--mlflow-port")


def test_an_address_of_another_machine() -> None:
    with pytest.raises(StackError, match=r"cannot listen on 192\.0\.2\.1"):
        ports.claim("192.0.2.1", 0, "--port")
