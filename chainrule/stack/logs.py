"""What the processes say, each line with the name of who says it."""

import sys
import threading
from collections import defaultdict, deque
from typing import TextIO

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_TAIL_LINES = 40


class Logs:
    """Prints lines with a coloured prefix and remembers the last ones of each name.

    `stream` None: nothing is printed. A stream that was closed silences it, nothing more.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = colour if colour is not None else bool(stream and stream.isatty())
        self._lock = threading.Lock()
        self._tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL_LINES))
        self._codes: dict[str, int] = {}
        self._width = 9

    def say(self, name: str, line: str) -> None:
        """One line of one speaker."""
        with self._lock:
            self._tails[name].append(line)
            if self._stream is None:
                return
            self._width = max(self._width, len(name))
            try:
                self._stream.write(f"{self._prefix(name)} {line}\n")
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody listens any more; the processes must not notice.
                self._stream = None

    def tail(self, name: str) -> list[str]:
        """The last lines of one speaker."""
        with self._lock:
            return list(self._tails.get(name, ()))

    def _prefix(self, name: str) -> str:
        text = f"{name:<{self._width}} |"
        if not self._colour:
            return text
        code = self._codes.setdefault(name, _COLOURS[len(self._codes) % len(_COLOURS)])
        return f"\x1b[{code}m{text}\x1b[0m"


def to_terminal() -> Logs:
    """Logs on standard output, coloured if that is a terminal."""
    return Logs(sys.stdout)
