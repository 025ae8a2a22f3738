"""Find free ports."""

import errno
import socket

from chainrule.stack import StackError


def claim(host: str, port: int, option: str) -> int:
    """Return `port`, or a free port for 0. Raises StackError if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port with connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise StackError(_reason(error, host, port, option)) from error
        return int(probe.getsockname()[1])


def _reason(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop what uses it, or choose another with {option} (0: any)"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"you may not use port {port}: choose one above 1023 with {option}"
    return f"cannot listen on {host}, port {port}: {error.strerror}"
