"""Drain a worker: two flags in memory that all of its processes share."""

import mmap

_ENDING, _WANTED = 0, 1


class Drain:
    """Flags that processes forked later share.

    `ending`: the worker ends, which cannot be undone. `wanted`: the worker or its node is to be
    drained, which can be undone.
    """

    def __init__(self) -> None:
        self._bytes = mmap.mmap(-1, 2)

    def begin(self) -> None:
        """Make every slot save a checkpoint, give its job back and claim no other.

        Safe in a signal handler.
        """
        self._bytes[_ENDING] = 1

    @property
    def ending(self) -> bool:
        """Whether the worker ends."""
        return self._bytes[_ENDING] != 0

    @property
    def wanted(self) -> bool:
        """Whether the worker is to claim no jobs for now."""
        return self._bytes[_WANTED] != 0

    @wanted.setter
    def wanted(self, is_wanted: bool) -> None:
        self._bytes[_WANTED] = is_wanted

    @property
    def begun(self) -> bool:
        """Whether to give jobs back and claim none, for either reason."""
        return self.wanted or self.ending
