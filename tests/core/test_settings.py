"""Settings do not show what must stay secret, secrets leave the environment, parts are checked."""

import os

import pytest
from pydantic import ValidationError

from core.settings import Settings, forget_secrets

SECRETS = ("database_url", "broker_url", "api_token", "mlflow_token", "peer_token")


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_do_not_print(name: str) -> None:
    settings = Settings.model_validate({name: "redis://:hunter2-hunter2@host/0"})
    assert "hunter2" in getattr(settings, name).get_secret_value()
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in text


def test_secrets_leave_the_environment_once_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_API_TOKEN", "hidden")
    monkeypatch.setenv("chainrule_database_url", "postgresql://u:hidden@h/d")
    monkeypatch.setenv("CHAINRULE_NODE_NAME", "here")
    settings = Settings()
    forget_secrets()
    assert "hidden" not in " ".join(os.environ.values())
    assert os.environ["CHAINRULE_NODE_NAME"] == "here"
    assert settings.database_url.get_secret_value().endswith("h/d")
    for name, value in settings.secret_variables.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_only_parts_of_the_sandbox_are_switched_off() -> None:
    assert Settings(sandbox_without=" seccomp,").parts_without == ("seccomp",)
    with pytest.raises(ValidationError, match="there is no part everything"):
        Settings(sandbox_without="everything")
