"""A real app in this process, to which the client and the commands talk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from api.app import create_app
from chainrule.cli.commands import fit, specs
from chainrule.cli.commands.jobs import jobs
from chainrule.cli.commands.models import models
from chainrule.cli.commands.server import gc
from chainrule.client import Client
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import CSV, Bridge, Http, close, parsed_pets, trained_pets

RESULT: dict[str, Any] = {
    "metrics": {"test/accuracy": 0.95, "test/loss": 0.2, "train/loss": 0.1},
    "baseline": {
        "metric": "test/accuracy",
        "rows": 40,
        "value": 0.95,
        "baseline_value": 0.5,
        "prediction": "majority class",
        "better": True,
    },
    "reason": "patience",
}
"""What a worker leaves of the job of `fit`."""


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> ParsedDataset:
    """A small dataset, parsed once."""
    return parsed_pets(tmp_path_factory.mktemp("pets"))


@pytest.fixture(scope="session")
def pets_model(pets: ParsedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a network trained on the small dataset."""
    return trained_pets(pets, tmp_path_factory.mktemp("model"))


@pytest.fixture
def app_http(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """An app, and a folder with a file as the current one."""
    served = create_app(Settings(database_url=sqlite_url, data_dir=tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my pets.v2.csv").write_text(CSV)
    with start_blocking_portal() as portal:
        yield Http(served, portal)
    close(served)


@pytest.fixture
def server(app_http: Http, monkeypatch: pytest.MonkeyPatch) -> Http:
    """An app that the commands talk to; the jobs of `fit` end at once."""
    for module, result in ((specs, None), (jobs, None), (models, None), (gc, None), (fit, RESULT)):
        bridge = Bridge(app_http, result)
        monkeypatch.setattr(module, "client", lambda *_, bridge=bridge, **__: _client(bridge))
    return app_http


def _client(bridge: Bridge) -> Client:
    return Client("http://127.0.0.1:8000", transport=bridge, source=False)
