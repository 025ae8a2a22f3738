"""What a person may say about the stack, and what its processes are told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chainrule.stack.errors import StackError

TEMPORARY = "tmp"
"""Folder in the data folder for what processes need only while they run."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Options:
    """Where the stack lives. An empty URL: that server is embedded. Port 0: any free one."""

    data_dir: Path = Path(".chainrule")
    host: str = "127.0.0.1"
    port: int = 8000
    mlflow_port: int = 5000
    workers: int = 1
    database_url: str = ""
    broker_url: str = ""
    store_url: str = ""
    mlflow_url: str = ""

    def refuse_open_door(self, env: Mapping[str, str]) -> None:
        """Raise StackError when other machines could reach an api that asks for no token."""
        if self.host not in LOOPBACK and not env.get("CHAINRULE_API_TOKEN"):
            raise StackError(
                f"--host {self.host} lets other machines in: set CHAINRULE_API_TOKEN to a secret "
                "of your own first"
            )


@dataclass(frozen=True)
class Addresses:
    """Where things are once ports are chosen."""

    host: str
    port: int
    broker_url: str
    mlflow_url: str
    mlflow_public_url: str

    @property
    def api_url(self) -> str:
        """The address of the api for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def base_env() -> dict[str, str]:
    """What every process inherits: our environment, modules never from the current folder."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}


def chainrule_env(options: Options, addresses: Addresses, data_dir: Path) -> dict[str, str]:
    """The environment of our own processes: all that `core.settings` reads."""
    env = base_env() | {
        "CHAINRULE_DATA_DIR": str(data_dir),
        "CHAINRULE_DATABASE_URL": options.database_url,
        "CHAINRULE_BROKER_URL": addresses.broker_url,
        "CHAINRULE_STORE_URL": options.store_url,
        "CHAINRULE_MLFLOW_URL": addresses.mlflow_url,
        "CHAINRULE_MLFLOW_PUBLIC_URL": addresses.mlflow_public_url,
        "CHAINRULE_PUBLIC_URL": os.environ.get("CHAINRULE_PUBLIC_URL") or addresses.api_url,
        "CHAINRULE_HOST": addresses.host,
        "CHAINRULE_PORT": str(addresses.port),
        # What a killed process leaves lying about is swept away at the next start.
        "TMPDIR": str(data_dir / TEMPORARY),
    }
    if env.get("CHAINRULE_THREADS", "0") in {"", "0"}:
        # Workers that each take every core slow one another down.
        slots = int(env.get("CHAINRULE_SLOTS") or 1) * options.workers
        env["CHAINRULE_THREADS"] = str(max(1, (os.cpu_count() or 1) // slots))
    return env


def foreign_env() -> dict[str, str]:
    """The environment of servers that are not ours: nothing of Chainrule's, no secrets."""
    return {name: text for name, text in base_env().items() if not name.startswith("CHAINRULE_")}
