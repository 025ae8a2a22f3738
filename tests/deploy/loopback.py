"""Bring up the loopback device of a fresh network namespace, then keep the namespace open.

`python -m tests.deploy.loopback` prints `up` and ends when its standard input does.
"""

import fcntl
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    print("up", flush=True)
    sys.stdin.read()
