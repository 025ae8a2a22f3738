"""The files that Python, its packages and the drivers of a GPU need."""

import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from core.sandbox.landlock import Files
from core.sandbox.policy import Policy

SYSTEM = (
    # Shared libraries, locales, time zones, and what they read when they are loaded.
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/usr/local/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/ld.so.preload"),
    *("/usr/share/locale", "/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone"),
    *("/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies"),
    # The processor, the memory, and this process.
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys"),
    *("/proc/version", "/sys/devices/system", "/sys/kernel/mm", "/dev/zero"),
    *("/dev/random", "/dev/urandom"),
)
PREFIX_FOLDERS = ("lib", "lib64", "share", "ssl")
"""Folders of an installation of Python: an environment may lie in a folder with other things."""
GPU_READABLE = (
    *("/proc", "/sys", "/etc/nvidia", "/usr/share/nvidia", "/usr/local/nvidia"),
    *("/usr/local/cuda", "/run/nvidia-persistenced", "/dev/char"),
)
GPU_DEVICES = ("nvidia*", "nvidia-caps/*", "dri/*", "dxg")
"""Patterns in /dev."""
GPU_CACHES = {"CUPY_CACHE_DIR": ".cupy/kernel_cache", "CUDA_CACHE_PATH": ".nv/ComputeCache"}
"""Folders of compiled kernels: the variable that names one, and its place in the home folder."""


def allowed(policy: Policy, packages: Iterable[str], variables: Mapping[str, str]) -> Files:
    """What a policy and this Python, with these folders of `packages`, allow together."""
    readable = {*SYSTEM, *python_folders(), *packages, *policy.readable}
    readable |= set(variables.get("LD_LIBRARY_PATH", "").split(":")) - {""}
    writable = {"/proc/self", "/dev/null", *policy.writable}
    devices: set[Path] = set()
    if policy.gpu:
        readable |= {*GPU_READABLE, variables.get("CUDA_PATH", "/usr/local/cuda")}
        writable |= set(kernel_caches(variables))
        devices = {path for pattern in GPU_DEVICES for path in Path("/dev").glob(pattern)}
    return Files(_paths(readable), _paths(writable), frozenset(devices))


def python_folders() -> set[str]:
    """The folders of this Python, of its standard library and of its packages.

    No folder of `sys.path` that has other things than packages, such as a source tree.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    folders = {f"{prefix}/{name}" for prefix in prefixes for name in PREFIX_FOLDERS}
    packages = {path for path in sys.path if path.endswith(("-packages", "lib-dynload", ".zip"))}
    return folders | packages | {sysconfig.get_path("stdlib"), site.getusersitepackages()}


def kernel_caches(variables: Mapping[str, str]) -> list[str]:
    """The folders in which CUDA and CuPy keep compiled kernels; creates them where it can."""
    home = Path(variables["HOME"]) if "HOME" in variables else Path.cwd()
    folders = [Path(variables.get(name, home / place)) for name, place in GPU_CACHES.items()]
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return [str(folder) for folder in folders]


def _paths(names: Iterable[str]) -> frozenset[Path]:
    return frozenset(Path(name).absolute() for name in names)
