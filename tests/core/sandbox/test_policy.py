"""Policies, the files that they allow, and what is reported of them."""

import ctypes
import os
import re
import sys
from pathlib import Path

import pytest

import core
from core.sandbox import enforcement, kernel, landlock, namespaces, seccomp
from core.sandbox.enforcement import enforce
from core.sandbox.files import GPU_READABLE, SYSTEM, allowed, python_folders
from core.sandbox.numbers import NUMBERS
from core.sandbox.policy import PARTS, Policy, environment
from core.sandbox.probe import probe, summary

HEADERS = (
    ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0),
    ("/usr/include/asm-generic/unistd.h", 1),
)


def test_a_policy_survives_a_command_line() -> None:
    policy = Policy(("/a",), ("/b",), gpu=True, without=("seccomp",))
    assert Policy.loads(policy.dumps()) == policy


def test_a_part_that_is_switched_off_is_reported() -> None:
    report = probe(Policy(without=("seccomp",)))
    assert list(report) == list(PARTS)
    assert report["seccomp"] == "switched off"
    assert "seccomp (switched off)" in summary(report)


def test_a_sandbox_that_cannot_start_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    report = probe(Policy())
    assert set(report) == set(PARTS)
    assert all("cannot be started" in reason for reason in report.values())


def test_a_part_that_the_kernel_refuses_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for module, name in (
        (namespaces, "leave_network"),
        (namespaces, "drop_capabilities"),
        (landlock, "restrict"),
        (seccomp, "restrict"),
    ):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(enforcement, "prctl", lambda *_: 0)
    monkeypatch.setattr(enforcement, "end_with_parent", lambda _: None)
    report = enforce(Policy(), [])
    assert report.pop("no_new_privs") == ""
    assert set(report.values()) == {"refused by the kernel: Operation not permitted"}
    monkeypatch.setattr(sys, "platform", "darwin")
    assert set(enforce(Policy(), []).values()) == {"only on Linux"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens folders of others")
def test_a_part_that_hides_files_of_the_policy_is_left_out(tmp_path: Path) -> None:
    """As root's rights are needed for a checkout or a data folder in a user's home."""
    file = tmp_path / "home" / "upload"
    file.parent.mkdir(mode=0o700)
    file.touch()
    os.chown(file.parent, 65534, 65534)
    reason = probe(Policy((str(file),)))["capabilities"]
    assert reason == "it would hide files that only root's rights open"
    assert probe(Policy((str(file),), without=("capabilities",)))["capabilities"] == "switched off"


def test_neither_the_source_tree_nor_the_home_folder_is_readable() -> None:
    root, home = Path(core.__path__[0]).parent, Path.home()
    readable = allowed(Policy(), core.__path__, environment()).readable
    hidden = {root / ".git", root / "tests", home, home / ".ssh", Path("/etc/passwd")}
    assert not {(path, file) for path in readable for file in hidden if file.is_relative_to(path)}
    assert Path(core.__path__[0]) in readable


def test_only_a_gpu_opens_devices(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "CUPY_CACHE_DIR": str(tmp_path / "kernels")}
    cpu = allowed(Policy(), [], variables)
    gpu = allowed(Policy(gpu=True), [], variables)
    assert not cpu.devices
    assert tmp_path / "kernels" not in cpu.writable
    assert {tmp_path / "kernels", tmp_path / ".nv/ComputeCache"} <= gpu.writable
    assert (tmp_path / "kernels").is_dir()
    assert {Path(name) for name in GPU_READABLE} <= gpu.readable
    assert not {Path(name) for name in GPU_READABLE} & cpu.readable


def test_python_needs_no_folder_above_its_own() -> None:
    assert not {"/", "/usr", "/usr/local", sys.prefix} & python_folders()
    assert "/" not in SYSTEM


@pytest.mark.parametrize(("header", "column"), HEADERS)
def test_the_numbers_are_those_of_the_kernel(header: str, column: int) -> None:
    if not Path(header).exists():
        pytest.skip(f"this machine has no {header}")
    pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)"
    defined = {name: int(number) for name, number in re.findall(pattern, Path(header).read_text())}
    known = {name: numbers[column] for name, numbers in NUMBERS.items()}
    assert known == {name: defined.get(name) for name in NUMBERS}


@pytest.mark.parametrize("machine", [0, 1])
@pytest.mark.parametrize("gpu", [False, True])
def test_every_jump_of_the_filter_ends_in_it(
    monkeypatch: pytest.MonkeyPatch, machine: int, gpu: bool
) -> None:
    monkeypatch.setattr(kernel, "_COLUMN", machine)
    program = seccomp.compiled(1234, gpu=gpu)
    ends = [at + 1 + max(then, otherwise) for at, (_, then, otherwise, _) in enumerate(program)]
    assert max(ends[:-1]) < len(program) < 4096
    assert all(0 <= part < 256 for it in program for part in it[1:3])


def test_the_processor_must_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_COLUMN", -1)
    with pytest.raises(OSError, match="not known"):
        seccomp.compiled(1, gpu=False)


def test_an_error_of_the_kernel_is_raised() -> None:
    with pytest.raises(OSError, match="Bad address"):
        kernel.system_call("mq_open", 0, 0, 0, ctypes.create_string_buffer(1))
