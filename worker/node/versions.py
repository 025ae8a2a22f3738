"""The environment of a worker: versions of Python and packages, BLAS, processor."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import threadpoolctl

PACKAGES = ("chainrule", "numpy", "llvmlite", "pyarrow", "safetensors", "onnx")
"""The packages that results may depend on."""


def versions() -> dict[str, str]:
    """Versions by name; what cannot be found out is left out."""
    by_name = {
        **{name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "blas": _blas(),
        "cpu": _cpu(),
    }
    return {name: text for name, text in by_name.items() if text}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _blas() -> str:
    """Library, version and kernel, such as `openblas 0.3.30 SkylakeX`."""
    for library in threadpoolctl.threadpool_info():
        if library.get("user_api") == "blas":
            words = (library.get(key) for key in ("internal_api", "version", "architecture"))
            return " ".join(str(word) for word in words if word)
    return ""


def _cpu() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()
