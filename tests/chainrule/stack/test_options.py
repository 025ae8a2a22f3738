"""Addresses of servers, and the token that servers require which other machines reach."""

from pathlib import Path

import pytest

from chainrule.stack import StackError
from chainrule.stack.mlflow import command
from chainrule.stack.options import Addresses, Options, address

GOOD = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("option", "options"),
    [("--host", Options(host="0.0.0.0")), ("--mlflow-host", Options(mlflow_host="0.0.0.0"))],
)
def test_an_open_server_requires_a_token(option: str, options: Options) -> None:
    with pytest.raises(StackError, match=f"{option} 0.0.0.0 lets other"):
        options.require_token({})
    with pytest.raises(StackError, match="has 5 characters"):
        options.require_token({"CHAINRULE_API_TOKEN": "short"})
    options.require_token({"CHAINRULE_API_TOKEN": GOOD})


def test_mlflow_may_have_a_token_of_its_own() -> None:
    options = Options(mlflow_host="0.0.0.0")
    options.require_token({"CHAINRULE_MLFLOW_TOKEN": GOOD})
    Options(mlflow_host="0.0.0.0", mlflow_url="http://mlflow:5000").require_token({})


def test_only_beyond_loopback_mlflow_is_served_under_any_name(tmp_path: Path) -> None:
    local = command(tmp_path, 5000, {}).env
    assert local["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5000,localhost:5000"
    opened = command(tmp_path, 5000, {}, GOOD, host="0.0.0.0")
    assert opened.env["MLFLOW_SERVER_ALLOWED_HOSTS"] == "*"
    assert opened.argv[opened.argv.index("--host") + 1] == "0.0.0.0"


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
    assert Addresses(host, 8000, "", "", "").api_url == address(host, 8000) == url
