"""Options of the stack, and the environment of its processes."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from chainrule.contract.tokens import weakness
from chainrule.stack import StackError

TEMPORARY = "tmp"
"""Folder in the data folder for temporary files."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Options:
    """Options of the stack. An empty URL: that server is embedded. Port 0: any free port."""

    data_dir: Path = Path(".chainrule")
    host: str = "127.0.0.1"
    port: int = 8000
    mlflow_port: int = 5000
    workers: int = 1
    database_url: str = ""
    broker_url: str = ""
    store_url: str = ""
    mlflow_url: str = ""
    mlflow_host: str = "127.0.0.1"

    def require_token(self, env: Mapping[str, str]) -> None:
        """Raise StackError if other machines could reach a server without a token, or guess it."""
        api_token = env.get("CHAINRULE_API_TOKEN", "")
        mlflow_token = env.get("CHAINRULE_MLFLOW_TOKEN", "") or api_token
        _require(f"--host {self.host}", self.host, "the api", api_token)
        if not self.mlflow_url:
            option = f"--mlflow-host {self.mlflow_host}"
            _require(option, self.mlflow_host, "MLflow", mlflow_token)


def _require(option: str, host: str, server: str, token: str) -> None:
    """Raise StackError if a server listens beyond loopback without a token, or with a weak one."""
    if host in LOOPBACK:
        return
    reach = f"{option} lets other machines reach {server}"
    if not token:
        raise StackError(f"{reach}: set CHAINRULE_API_TOKEN to a secret first")
    if reason := weakness(token):
        raise StackError(f"{reach}, and CHAINRULE_API_TOKEN {reason}")


def address(host: str, port: int) -> str:
    """Return the URL of a server for a client on this machine."""
    name = _local(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _local(host: str) -> str:
    """Return the loopback address for a server that listens on all addresses, else its own."""
    with suppress(ValueError):
        address = ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "::1"
    return host


@dataclass(frozen=True)
class Addresses:
    """Addresses of the servers, with the chosen ports."""

    host: str
    port: int
    broker_url: str
    mlflow_url: str
    mlflow_public_url: str

    @property
    def api_url(self) -> str:
        """The address of the api for a client on this machine."""
        return address(self.host, self.port)


def base_env() -> dict[str, str]:
    """Return the environment of every process: ours, without imports from the current folder."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}


def chainrule_env(options: Options, addresses: Addresses, data_dir: Path) -> dict[str, str]:
    """Return the environment of Chainrule's processes, with the settings of `core.settings`."""
    env = base_env() | {
        "CHAINRULE_DATA_DIR": str(data_dir),
        "CHAINRULE_DATABASE_URL": options.database_url,
        "CHAINRULE_BROKER_URL": addresses.broker_url,
        "CHAINRULE_STORE_URL": options.store_url,
        "CHAINRULE_MLFLOW_URL": addresses.mlflow_url,
        "CHAINRULE_MLFLOW_TOKEN": mlflow_token(embedded=not options.mlflow_url),
        "CHAINRULE_MLFLOW_PUBLIC_URL": addresses.mlflow_public_url,
        "CHAINRULE_PUBLIC_URL": os.environ.get("CHAINRULE_PUBLIC_URL") or addresses.api_url,
        "CHAINRULE_HOST": addresses.host,
        "CHAINRULE_PORT": str(addresses.port),
        # Files that a killed process leaves are deleted at the next start.
        "TMPDIR": str(data_dir / TEMPORARY),
    }
    if env.get("CHAINRULE_THREADS", "0") in {"", "0"}:
        # Workers that each use every core slow each other down.
        slots = int(env.get("CHAINRULE_SLOTS") or 1) * options.workers
        env["CHAINRULE_THREADS"] = str(max(1, (os.cpu_count() or 1) // slots))
    return env


def mlflow_token(*, embedded: bool = True) -> str:
    """Return the token of MLflow: the embedded server has the token of the api, if there is one."""
    token = os.environ.get("CHAINRULE_MLFLOW_TOKEN", "")
    return token or (os.environ.get("CHAINRULE_API_TOKEN", "") if embedded else "")


def foreign_env() -> dict[str, str]:
    """Return the environment of other servers, without Chainrule's settings and secrets."""
    return {name: text for name, text in base_env().items() if not name.startswith("CHAINRULE_")}
