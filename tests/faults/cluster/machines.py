"""Machines made of network namespaces: workers in one reach the servers over a link of its own."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from benchmarks.namespaces import ip, namespace
from tests.faults.cluster.proxy import Proxy

_LOOPBACK = re.compile(r"127\.0\.0\.1:(\d+)")


class Machine:
    """A namespace with one link to here. What it reaches here, it reaches through doors."""

    def __init__(self) -> None:
        """Raises OSError or CalledProcessError when namespaces cannot be made here."""
        number = uuid.uuid4().int
        self.name = f"chainrule-{number % 2**24:06x}"
        # Of sixteen thousand small networks one: others may have machines here, too.
        network = f"10.213.{number % 256}", 4 * (number // 256 % 64)
        self._here = f"{network[0]}.{network[1] + 1}"
        there = f"{network[0]}.{network[1] + 2}"
        self._link = f"cr{number % 2**24:06x}"
        self._doors: dict[int, Proxy] = {}
        with ExitStack() as opened:
            opened.enter_context(namespace(self.name, self._link, f"{there}/30"))
            ip("addr", "add", f"{self._here}/30", "dev", self._link)
            opened.callback(self._close_doors)
            self._opened = opened.pop_all()

    @property
    def inside(self) -> list[str]:
        """What a command begins with to run there."""
        return ["ip", "netns", "exec", self.name]

    def reached(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The settings with the addresses by which our servers are reached from there."""
        return {
            name: _LOOPBACK.sub(lambda found: self._door(int(found[1])), value)
            for name, value in environment.items()
        }

    def _door(self, port: int) -> str:
        if port not in self._doors:
            self._doors[port] = Proxy(port, self._here)
        return f"{self._here}:{self._doors[port].port}"

    def unplug(self) -> None:
        """Nothing passes the link until `heal`."""
        ip("-n", self.name, "link", "set", "e0", "down")

    def lose_packets(self, share: float) -> None:
        """That share of what comes in is lost until `heal`."""
        chance = ["-m", "statistic", "--mode", "random", "--probability", f"{share:g}"]
        self._filter("-A", "INPUT", "-i", "e0", *chance, "-j", "DROP")

    def lost_packets(self) -> int:
        """How many packets were lost since `lose_packets`."""
        listed = self._filter("-L", "INPUT", "-v", "-x", "-n")
        return sum(int(line.split()[0]) for line in listed.splitlines() if " DROP " in line)

    def heal(self) -> None:
        """The link is as at first."""
        ip("-n", self.name, "link", "set", "e0", "up")
        if shutil.which("iptables"):
            self._filter("-F", "INPUT")

    def close(self) -> None:
        """Take it away; its processes have ended before."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _filter(self, *words: str) -> str:
        command = [*self.inside, "iptables", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _close_doors(self) -> None:
        for door in self._doors.values():
            door.close()


def lacking() -> str | None:
    """Why no machines can be made here, if so."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if missing := [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]:
        return f"{' and '.join(missing)} must be installed"
    try:
        Machine().close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made: {error}"
    return None
