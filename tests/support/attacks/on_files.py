"""Attempts at files of others.

Each function raises OSError when the kernel refuses it. Also when it succeeds, it changes nothing
that a test did not make for it.
"""

import os
from pathlib import Path

from core.sandbox.kernel import system_call
from tests.support.attacks.attack import LANDLOCK, SECCOMP, Attacks, Target, adding

ATTACKS: Attacks = {}
attack = adding(ATTACKS)


@attack(LANDLOCK)
def read_database(target: Target) -> None:
    Path(target.database).read_bytes()


@attack(LANDLOCK)
def read_files_of_other_job(target: Target) -> None:
    Path(target.folder, "checkpoint").read_bytes()


@attack(LANDLOCK)
def list_folder(target: Target) -> None:
    names_in(target.folder)


@attack(LANDLOCK)
def write_database(target: Target) -> None:
    with Path(target.database).open("r+b") as file:
        file.write(b"x")


@attack(LANDLOCK)
def truncate_database(target: Target) -> None:
    os.truncate(target.database, 0)


@attack(LANDLOCK)
def delete_file(target: Target) -> None:
    Path(target.folder, "checkpoint").unlink()


@attack(LANDLOCK)
def rename_file(target: Target) -> None:
    Path(target.folder, "checkpoint").rename(Path(target.folder, "renamed"))


@attack(SECCOMP)
def open_folder_to_all(target: Target) -> None:
    Path(target.folder).chmod(0o777)


@attack(SECCOMP)
def change_owner(target: Target) -> None:
    os.chown(target.database, -1, -1)


@attack(SECCOMP)
def label_file(target: Target) -> None:
    os.setxattr(target.database, "user.chainrule", b"x")


@attack(LANDLOCK)
def change_our_code(_: Target) -> None:
    with Path(__file__).open("ab") as file:
        file.write(b"")


@attack(LANDLOCK)
def plant_module(_: Target) -> None:
    path = Path(__file__).with_name("planted.pyc")
    path.touch(exist_ok=False)
    path.unlink()


@attack(LANDLOCK)
def read_passwords(_: Target) -> None:
    Path("/etc/shadow").read_bytes()


@attack(LANDLOCK)
def read_users(_: Target) -> None:
    Path("/etc/passwd").read_bytes()


@attack(LANDLOCK)
def list_home(_: Target) -> None:
    names_in(os.environ.get("HOME", "/root"))


@attack(LANDLOCK)
def list_root(_: Target) -> None:
    names_in("/")


@attack(LANDLOCK)
def write_outside(target: Target) -> None:
    Path(target.folder, "new").touch(exist_ok=False)


@attack(LANDLOCK)
def share_memory_by_name(_: Target) -> None:
    path = Path(f"/dev/shm/chainrule-{os.getpid()}")
    path.touch(exist_ok=False)
    path.unlink()


@attack(LANDLOCK)
def read_log_of_kernel(_: Target) -> None:
    Path("/dev/kmsg").open("rb", buffering=0).close()


# Tricks with names


@attack(LANDLOCK)
def follow_link_out(target: Target) -> None:
    Path("/proc/self/root", target.database.lstrip("/")).read_bytes()


@attack(LANDLOCK)
def make_symbolic_link(target: Target) -> None:
    Path(target.own, "symbolic").symlink_to(target.database)


@attack(LANDLOCK)
def make_hard_link(target: Target) -> None:
    Path(target.own, "hard").hardlink_to(target.database)


@attack(LANDLOCK)
def make_pipe(target: Target) -> None:
    os.mkfifo(Path(target.own, "pipe"))


@attack(SECCOMP)
def make_device(target: Target) -> None:
    os.mknod(Path(target.own, "device"), 0o020600, os.makedev(1, 3))


@attack(SECCOMP)
def open_by_handle(_: Target) -> None:
    system_call("open_by_handle_at", -1, 0, 0)


def names_in(folder: str) -> list[str]:
    """What is in a folder."""
    return [path.name for path in Path(folder).iterdir()]
