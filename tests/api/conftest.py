"""Fixtures: the real app on a real database, and a client that speaks HTTP to it in-process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from api.app import create_app
from core.data.ingest.parser import ParsedDataset
from core.settings import Settings
from tests.support.api_cases import Http, close, parsed_pets, trained_pets


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> ParsedDataset:
    """A small dataset, parsed once."""
    return parsed_pets(tmp_path_factory.mktemp("pets"))


@pytest.fixture(scope="session")
def pets_model(pets: ParsedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a network trained on the small dataset."""
    return trained_pets(pets, tmp_path_factory.mktemp("model"))


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """Settings on a fresh SQLite database, without broker and MLflow."""
    return Settings(database_url=sqlite_url, data_dir=tmp_path / "data")


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    """The real app."""
    app = create_app(settings)
    yield app
    close(app)


@pytest.fixture
def empty(app: FastAPI, portal: BlockingPortal) -> Http:
    """A client of the app."""
    return Http(app, portal)


@pytest.fixture
def http(empty: Http, pets: ParsedDataset) -> Http:
    """A client of the app, which knows `pets@1`."""
    empty.register(pets)
    return empty


@pytest.fixture
def everywhere(
    database_url: str, tmp_path: Path, portal: BlockingPortal, pets: ParsedDataset
) -> Iterator[Http]:
    """A client of an app that knows `pets@1`, on SQLite, then of one on PostgreSQL."""
    app = create_app(Settings(database_url=database_url, data_dir=tmp_path / "data"))
    http = Http(app, portal)
    http.register(pets)
    yield http
    close(app)
