"""Tell all processes of a worker that it is to finish up: two bytes of memory that they share."""

import mmap

_ENDING, _WANTED = 0, 1


class Drain:
    """Flags that processes forked later share.

    `ending`: the worker ends; nothing takes that back. `wanted`: its node is to be drained, until
    somebody changes their mind.
    """

    def __init__(self) -> None:
        self._bytes = mmap.mmap(-1, 2)

    def begin(self) -> None:
        """Let every slot checkpoint, give its job back and take no other. Safe in a handler."""
        self._bytes[_ENDING] = 1

    @property
    def ending(self) -> bool:
        """Whether the worker ends."""
        return self._bytes[_ENDING] != 0

    @property
    def wanted(self) -> bool:
        """Whether the worker is to take no jobs for now."""
        return self._bytes[_WANTED] != 0

    @wanted.setter
    def wanted(self, is_wanted: bool) -> None:
        self._bytes[_WANTED] = is_wanted

    @property
    def begun(self) -> bool:
        """Whether no job is to be taken or kept."""
        return self.wanted or self.ending
