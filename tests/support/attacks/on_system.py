"""Attempts at processes, the network and the kernel.

Each function raises OSError when the kernel refuses it. Also when it succeeds, it changes nothing
that a test did not make for it.
"""

import ctypes
import os
import resource
import signal
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.sandbox.kernel import system_call
from tests.support.attacks.attack import (
    CAPABILITIES,
    LANDLOCK,
    LANDLOCK_SCOPES,
    LANDLOCK_TCP,
    NETWORK,
    SECCOMP,
    Attack,
    Attacks,
    Attempt,
    Target,
    adding,
)
from tests.support.attacks.on_files import names_in

_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_BAD = 1 << 40  # an address or a flag that is never valid


ATTACKS: Attacks = {}
attack = adding(ATTACKS)


# Secrets of the parent


@attack(LANDLOCK)
def read_environment_of_parent(target: Target) -> None:
    Path(f"/proc/{target.process}/environ").read_bytes()


@attack(LANDLOCK)
def read_memory_of_parent(target: Target) -> None:
    Path(f"/proc/{target.process}/mem").open("rb", buffering=0).close()


@attack(LANDLOCK)
def read_command_line_of_parent(target: Target) -> None:
    Path(f"/proc/{target.process}/cmdline").read_bytes()


@attack(LANDLOCK)
def list_files_of_parent(target: Target) -> None:
    names_in(f"/proc/{target.process}/fd")


@attack(LANDLOCK, SECCOMP)
def trace_parent(target: Target) -> None:
    system_call("ptrace", _PTRACE_ATTACH, target.process, 0, 0)
    os.waitpid(target.process, 0)
    system_call("ptrace", _PTRACE_DETACH, target.process, 0, 0)


@attack(LANDLOCK, SECCOMP)
def copy_memory_of_parent(target: Target) -> None:
    buffer = ctypes.create_string_buffer(8)
    here = ctypes.create_string_buffer(struct.pack("@PN", ctypes.addressof(buffer), 8), 16)
    system_call("process_vm_readv", target.process, here, 1, here, 1, 0)


@attack(SECCOMP)
def take_file_of_parent(target: Target) -> None:
    system_call("pidfd_getfd", system_call("pidfd_open", target.process, 0), 0, 0)


@attack(SECCOMP)
def open_parent(target: Target) -> None:
    system_call("pidfd_open", target.process, 0)


@attack(LANDLOCK_SCOPES, SECCOMP)
def signal_parent(target: Target) -> None:
    os.kill(target.process, signal.SIGWINCH)


@attack(SECCOMP)
def signal_all(_: Target) -> None:
    os.kill(-1, 0)


@attack(SECCOMP)
def limit_parent(target: Target) -> None:
    resource.prlimit(target.process, resource.RLIMIT_NOFILE)


@attack(SECCOMP)
def slow_parent(target: Target) -> None:
    priority = os.getpriority(os.PRIO_PROCESS, target.process)
    os.setpriority(os.PRIO_PROCESS, target.process, priority)


@attack(SECCOMP)
def pin_parent(target: Target) -> None:
    os.sched_setaffinity(target.process, os.sched_getaffinity(target.process))


# Network


@attack(LANDLOCK_TCP, SECCOMP, NETWORK)
def connect_to_broker(target: Target) -> None:
    socket.create_connection(("127.0.0.1", target.port), 5).close()


@attack(SECCOMP)
def connect_to_unix_socket(target: Target) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(target.socket)


@attack(LANDLOCK_SCOPES, SECCOMP)
def connect_to_abstract_socket(target: Target) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{target.abstract}")


@attack(SECCOMP, NETWORK)
def ask_name_server(_: Target) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"", ("127.0.0.53", 53))


@attack(LANDLOCK_TCP, SECCOMP)
def listen(_: Target) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


@attack(SECCOMP)
def open_netlink(_: Target) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()


@attack(SECCOMP)
def open_raw_socket(_: Target) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()


@attack(SECCOMP)
def pair_sockets(_: Target) -> None:
    for end in socket.socketpair():
        end.close()


# Processes


@attack(SECCOMP)
def fork(_: Target) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@attack(LANDLOCK, SECCOMP)
def execute(_: Target) -> None:
    os.execv("/bin/true", ["/bin/true"])


@attack(SECCOMP)
def execute_from_memory(_: Target) -> None:
    with os.fdopen(os.memfd_create("program"), "wb", buffering=0) as file:
        file.write(b"#!/bin/true\n")
        os.execve(file.fileno(), ["program"], {})


# Privileges


@attack(SECCOMP)
def become_other_user(_: Target) -> None:
    os.setuid(65534)


@attack(SECCOMP)
def make_namespace(_: Target) -> None:
    system_call("unshare", 0x10000000)


@attack(SECCOMP, CAPABILITIES)
def enter_namespace(_: Target) -> None:
    with Path("/proc/self/ns/net").open() as place:
        system_call("setns", place.fileno(), 0)


@attack(SECCOMP, CAPABILITIES)
def change_root(target: Target) -> None:
    os.chroot(target.own)


@attack(SECCOMP, CAPABILITIES, LANDLOCK)
def mount(target: Target) -> None:
    own = ctypes.create_string_buffer(target.own.encode())
    system_call("mount", own, own, ctypes.create_string_buffer(b"no file system"), 0, None)


def called(name: str, *arguments: Any) -> Attempt:
    """An attempt to make a system call."""

    def call(_: Target) -> None:
        system_call(name, *arguments)

    return call


def _system_calls() -> None:
    """Calls that are enough as they are; the arguments are wrong, so nothing ever happens."""
    calls: Sequence[tuple[str, tuple[Any, ...]]] = [
        ("keyctl", (0, -3, 0)),
        ("add_key", (0, 0, 0, 0, 0)),
        ("request_key", (0, 0, 0, 0)),
        ("bpf", (_BAD, 0, 0)),
        ("perf_event_open", (0, 0, -1, -1, _BAD)),
        ("io_uring_setup", (0, 0)),
        ("userfaultfd", (_BAD,)),
        ("shmget", (1, 0, 0)),
        ("msgget", (1, 0)),
        ("semget", (1, 0, 0)),
        ("mq_open", (0, 0, 0, 0)),
        ("reboot", (0, 0, 0, 0)),
        ("swapoff", (0,)),
        ("settimeofday", (_BAD, 0)),
        ("kcmp", (os.getpid(), os.getpid(), _BAD, 0, 0)),
        ("fsopen", (0, 0)),
        ("open_tree", (-1, 0, 0)),
        ("clone3", (0, 0)),
    ]
    for name, arguments in calls:
        ATTACKS[f"call_{name}"] = Attack(called(name, *arguments), (SECCOMP,))


_system_calls()
