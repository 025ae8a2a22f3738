"""What the client says when the server's packages are not installed."""

import sys
from importlib import metadata

import pytest

import chainrule
from chainrule import stack
from chainrule.cli.app import main
from chainrule.stack import MissingServerError


@pytest.fixture
def client_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the server's distribution, as in an environment that has only the client."""

    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(stack, "distribution", missing)


@pytest.mark.usefixtures("client_alone")
def test_an_estimator_names_the_package_that_it_needs() -> None:
    with pytest.raises(MissingServerError, match="NetworkClassifier needs the server"):
        getattr(chainrule, "NetworkClassifier")  # noqa: B009


@pytest.mark.usefixtures("client_alone")
def test_starting_a_server_names_the_package_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chainrule", "up"])
    assert main() == 1
    assert "`pip install ./chainrule .` in a checkout" in capsys.readouterr().err
