"""Wall clocks of workers that a fault can move while they run."""

import mmap
import shutil
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The clock of all processes that run with its `environment`; at first it is correct."""

    def __init__(self, library: Path, path: Path) -> None:
        path.write_bytes(bytes(16))
        self.environment = {"LD_PRELOAD": str(library), "SKEWED_CLOCK": str(path)}
        with path.open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), 16)

    @property
    def readings(self) -> int:
        """How many times a process read the clock."""
        return int(struct.unpack_from("q", self._numbers, 8)[0])

    def shift(self, seconds: int) -> None:
        """Set the clock to this many seconds ahead of the correct time."""
        struct.pack_into("q", self._numbers, 0, seconds)

    def close(self) -> None:
        """Unmap the file."""
        self._numbers.close()


def build(folder: Path) -> Path:
    """Compile the library that moves clocks; its path in `folder`."""
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
    return library


def unavailable() -> str | None:
    """Why this machine cannot move clocks; None if it can."""
    if sys.platform != "linux":
        return "clocks are moved with LD_PRELOAD, on Linux only"
    return None if shutil.which("cc") else "a C compiler (cc) must be installed"
