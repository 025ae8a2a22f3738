"""Fixtures: the real app on a real database, and a client that speaks HTTP to it in-process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from api.app import create_app
from core.settings import Settings
from tests.apicases import Http, close


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own."""
    with start_blocking_portal() as portal:
        yield portal


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
def http(app: FastAPI, portal: BlockingPortal) -> Http:
    """A client of the app."""
    return Http(app, portal)


@pytest.fixture
def everywhere(database_url: str, tmp_path: Path, portal: BlockingPortal) -> Iterator[Http]:
    """A client of an app on SQLite, then of one on PostgreSQL."""
    app = create_app(Settings(database_url=database_url, data_dir=tmp_path / "data"))
    yield Http(app, portal)
    close(app)
