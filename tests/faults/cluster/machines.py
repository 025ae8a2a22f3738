"""Machines made of network namespaces, each with its own link to the servers."""

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
    """A network namespace with one link to this one, where proxies forward to our servers."""

    def __init__(self) -> None:
        """Raises OSError or CalledProcessError if namespaces cannot be created."""
        number = uuid.uuid4().int
        self.name = f"chainrule-{number % 2**24:06x}"
        # One of 16,384 networks, since other test runs may have machines, too.
        prefix, host = f"10.213.{number % 256}", 4 * (number // 256 % 64)
        self._address = f"{prefix}.{host + 1}"
        self._link = f"cr{number % 2**24:06x}"
        self._proxies: dict[int, Proxy] = {}
        with ExitStack() as opened:
            opened.enter_context(namespace(self.name, self._link, f"{prefix}.{host + 2}/30"))
            ip("addr", "add", f"{self._address}/30", "dev", self._link)
            opened.callback(self._close_proxies)
            self._opened = opened.pop_all()

    @property
    def inside(self) -> list[str]:
        """The words in front of a command that run it in the namespace."""
        return ["ip", "netns", "exec", self.name]

    def translated(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The settings with addresses of proxies instead of those of our servers."""
        return {
            name: _LOOPBACK.sub(lambda match: self._proxy(int(match[1])), value)
            for name, value in environment.items()
        }

    def _proxy(self, port: int) -> str:
        if port not in self._proxies:
            self._proxies[port] = Proxy(port, self._address)
        return f"{self._address}:{self._proxies[port].port}"

    def unplug(self) -> None:
        """Take the link down until `repair`."""
        ip("-n", self.name, "link", "set", "e0", "down")

    def lose_packets(self, share: float) -> None:
        """Drop this share (0 to 1) of the incoming packets until `repair`."""
        condition = ["-m", "statistic", "--mode", "random", "--probability", f"{share:g}"]
        self._filter("-A", "INPUT", "-i", "e0", *condition, "-j", "DROP")

    def lost_packets(self) -> int:
        """The number of packets that were dropped since `lose_packets`."""
        listed = self._filter("-L", "INPUT", "-v", "-x", "-n")
        return sum(int(line.split()[0]) for line in listed.splitlines() if " DROP " in line)

    def repair(self) -> None:
        """Bring the link up and drop no packets."""
        ip("-n", self.name, "link", "set", "e0", "up")
        if shutil.which("iptables"):
            self._filter("-F", "INPUT")

    def close(self) -> None:
        """Delete the namespace, whose processes must have ended."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _filter(self, *words: str) -> str:
        command = [*self.inside, "iptables", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _close_proxies(self) -> None:
        for proxy in self._proxies.values():
            proxy.close()


def unavailable() -> str | None:
    """Why namespaces cannot be created here; None if they can."""
    if os.geteuid() != 0:
        return "only root can create network namespaces"
    if missing := [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]:
        return f"{' and '.join(missing)} must be installed"
    try:
        Machine().close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be created: {error}"
    return None
