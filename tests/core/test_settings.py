"""Settings do not show what must stay secret."""

import pytest

from core.settings import Settings

SECRETS = ("database_url", "broker_url", "api_token", "mlflow_token", "peer_token")


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_do_not_print(name: str) -> None:
    settings = Settings.model_validate({name: "redis://:hunter2-hunter2@host/0"})
    assert "hunter2" in getattr(settings, name).get_secret_value()
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in text
