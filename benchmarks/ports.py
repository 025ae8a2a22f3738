"""Ports for servers that a benchmark starts."""

import socket


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
