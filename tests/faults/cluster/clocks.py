"""Wall clocks of workers that a fault may put forward or back while they run."""

import mmap
import shutil
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The clock of all processes that run with its `environment`; at first it is right."""

    def __init__(self, library: Path, path: Path) -> None:
        path.write_bytes(bytes(16))
        self.environment = {"LD_PRELOAD": str(library), "SKEWED_CLOCK": str(path)}
        with path.open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), 16)

    @property
    def readings(self) -> int:
        """How often somebody asked what time it is."""
        return int(struct.unpack_from("q", self._numbers, 8)[0])

    def put(self, seconds: int) -> None:
        """Have it show so many seconds more than it is, at once."""
        struct.pack_into("q", self._numbers, 0, seconds)

    def close(self) -> None:
        """Let go of the file."""
        self._numbers.close()


def build(folder: Path) -> Path:
    """The library that makes clocks wrong, made in `folder`."""
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
    return library


def lacking() -> str | None:
    """Why no clocks can be put wrong here, if so."""
    if sys.platform != "linux":
        return "clocks are put wrong with LD_PRELOAD, on Linux"
    return None if shutil.which("cc") else "a C compiler (cc) must be installed"
