"""Tell all processes of a worker that it is to finish up: one byte of memory that they share."""

import mmap


class Drain:
    """A flag that processes forked later share. Once begun, nothing takes it back.

    `wanted` is this process's own: the node is to be drained, until somebody changes their mind.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)
        self.wanted = False

    def begin(self) -> None:
        """Let every slot checkpoint, give its job back and take no other. Safe in a handler."""
        self._byte[0] = 1

    @property
    def ending(self) -> bool:
        """Whether the worker ends."""
        return self._byte[0] != 0

    @property
    def begun(self) -> bool:
        """Whether no job is to be taken or kept."""
        return self.wanted or self.ending
