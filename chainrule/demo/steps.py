"""Print the steps of the demonstration and their times."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Steps:
    """Steps on a console: a spinner in a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._status: Status | None = None
        self._begun = time.monotonic()

    @contextmanager
    def step(self, name: str, doing: str, *, live: bool = True) -> Iterator[None]:
        """Time a step under `name`. `live` False: the step draws on the console itself."""
        begun = time.monotonic()
        if not (live and self.console.is_terminal):
            self.console.print(f"{doing} ...")
            yield
        else:
            with self.console.status(doing) as self._status:
                yield
            self._status = None
        self.seconds[name] = round(time.monotonic() - begun, 2)
        self.console.print(f"[green]✓[/] {doing} [dim]{self.seconds[name]:.1f} s[/]")

    def waiting(self, what: str) -> None:
        """Print what the step waits for."""
        if self._status is not None:
            self._status.update(f"[dim]{what}[/]")
        else:
            self.console.print(f"  [dim]{what}[/]")

    def total(self) -> float:
        """Return the seconds since the start."""
        return round(time.monotonic() - self._begun, 2)
