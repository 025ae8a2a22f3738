"""Addresses at which clients on the same machine reach the servers of the stack."""

import pytest

from chainrule.stack.options import Addresses


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
        ("10.0.0.5", "http://10.0.0.5:8000"),
        ("fe80::1", "http://[fe80::1]:8000"),
    ],
)
def test_client_uses_loopback_where_the_server_listens_on_all(host: str, url: str) -> None:
    assert Addresses(host, 8000, "", "", "").api_url == url
