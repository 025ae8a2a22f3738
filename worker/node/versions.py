"""What a worker computes with: versions of Python and packages, BLAS, processor."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import threadpoolctl

PACKAGES = ("chainrule", "numpy", "llvmlite", "pyarrow", "safetensors", "onnx")
"""Those that what is trained may depend on."""


def versions() -> dict[str, str]:
    """By name; what this machine does not tell is left out."""
    found = {
        **{name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "blas": _blas(),
        "cpu": _cpu(),
    }
    return {name: text for name, text in found.items() if text}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _blas() -> str:
    """Such as `openblas 0.3.30 SkylakeX`."""
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
