"""Detect from control groups whether the kernel killed a process for lack of memory."""

from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


class MemoryWatch:
    """Counts the kills for lack of memory in the control group of a process."""

    def __init__(self, pid: int) -> None:
        self._counters = [path for path in _counters(pid) if path.is_file()]
        self._limits = [path for path in _limits(pid) if path.is_file()]
        self._before = self._kills()

    def out_of_memory(self) -> bool:
        """Whether the kernel killed for lack of memory in this group since the watch began."""
        return self._kills() > self._before

    def limit_bytes(self) -> int | None:
        """The memory limit of the group, if it has one."""
        for path in self._limits:
            with suppress(OSError, ValueError):
                limit = int(path.read_text())
                # Version 1 of control groups represents "no limit" by a huge number.
                return limit if limit < 2**60 else None
        return None

    def _kills(self) -> int:
        kills = 0
        for path in self._counters:
            with suppress(OSError):
                for line in path.read_text().splitlines():
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        kills += int(count)
        return kills


def _counters(pid: int) -> list[Path]:
    """Files that count kills for lack of memory, for the whole machine when there is no group."""
    groups = _groups(pid)
    files = [folder / name for folder in groups for name in ("memory.events", "memory.oom_control")]
    return [path for path in files if path.is_file()] or [Path("/proc/vmstat")]


def _limits(pid: int) -> list[Path]:
    names = ("memory.max", "memory.limit_in_bytes")
    return [folder / name for folder in _groups(pid) for name in names]


def _groups(pid: int) -> list[Path]:
    """The folders of the memory control group of `pid`, of both versions of control groups."""
    folders: list[Path] = []
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                folders += [CGROUPS / path.lstrip("/"), CGROUPS / "unified" / path.lstrip("/")]
            elif "memory" in controllers.split(","):
                folders.append(CGROUPS / "memory" / path.lstrip("/"))
    return folders
