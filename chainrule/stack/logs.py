"""Log lines of the processes, each with the name of its process."""

import sys
import threading
from collections import defaultdict, deque
from typing import TextIO

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_TAIL_LINES = 40


class Logs:
    """Print lines with a coloured prefix, and keep the last ones of each name.

    `stream` None prints nothing. After the stream is closed, nothing more is printed.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = colour if colour is not None else bool(stream and stream.isatty())
        self._lock = threading.Lock()
        self._tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL_LINES))
        self._codes: dict[str, int] = {}
        self._width = 9

    def say(self, name: str, line: str) -> None:
        """Print a line of a process."""
        with self._lock:
            self._tails[name].append(line)
            if self._stream is None:
                return
            self._width = max(self._width, len(name))
            try:
                self._stream.write(f"{self._prefix(name)} {line}\n")
                self._stream.flush()
            except (OSError, ValueError):
                # The stream is closed; the processes continue.
                self._stream = None

    def tail(self, name: str) -> list[str]:
        """Return the last lines of a process."""
        with self._lock:
            return list(self._tails.get(name, ()))

    def _prefix(self, name: str) -> str:
        text = f"{name:<{self._width}} |"
        if not self._colour:
            return text
        code = self._codes.setdefault(name, _COLOURS[len(self._codes) % len(_COLOURS)])
        return f"\x1b[{code}m{text}\x1b[0m"


def to_terminal() -> Logs:
    """Return logs on standard output, coloured in a terminal."""
    return Logs(sys.stdout)
