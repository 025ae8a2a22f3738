"""Write down what CuPy's functions are called and take: `python record_cupy.py > cupy_names.json`.

For a Python that has CuPy (no GPU is needed). A parameter with a default is written `name=`, the
ones after `*` go by keyword alone, `*name` and `**name` take any number.
"""

import inspect
import json
import re
import sys
from typing import Any

import cupy

KINDS = inspect.Parameter


def parameters(function: Any) -> str | None:
    """The parameters of a function, or None where CuPy does not tell."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return documented(function)
    names, starred = [], False
    for one in found.parameters.values():
        if one.kind is KINDS.VAR_POSITIONAL:
            starred = True
            names.append(f"*{one.name}")
        elif one.kind is KINDS.VAR_KEYWORD:
            names.append(f"**{one.name}")
        else:
            if one.kind is KINDS.KEYWORD_ONLY and not starred:
                starred = True
                names.append("*")
            names.append(one.name if one.default is KINDS.empty else f"{one.name}=")
    return ", ".join(names)


def documented(function: Any) -> str | None:
    """The parameters as the first line of the docstring gives them."""
    line = (function.__doc__ or "").strip().partition("\n")[0].replace("\\", "")
    match = re.fullmatch(r"[\w.]*\((.*)\)(?: -> .*)?", line)
    if match is None:
        return None
    names = []
    for part in match[1].split(","):
        name, default, _ = part.strip().partition("=")
        name = name.split(":")[0].split(" ")[-1].strip()
        if name and name not in {"self", "/"}:
            names.append(name + default)
    return ", ".join(names)


def record() -> dict[str, Any]:
    """Names, parameters, constants."""
    public = {n: getattr(cupy, n) for n in dir(cupy) if not n.startswith("_")}
    ufuncs = {n: f for n, f in public.items() if isinstance(f, cupy.ufunc)}
    functions = {
        n: f
        for n, f in public.items()
        if callable(f) and not isinstance(f, type) and n not in ufuncs
    }
    functions["lib.stride_tricks.as_strided"] = cupy.lib.stride_tricks.as_strided
    methods = {n: getattr(cupy.ndarray, n) for n in dir(cupy.ndarray) if not n.startswith("_")}
    return {
        "version": cupy.__version__,
        "functions": {n: parameters(f) for n, f in sorted({**functions, **ufuncs}.items())},
        "ufunc_methods": [n for n in dir(cupy.ufunc) if not n.startswith("_")],
        "ufuncs": sorted(ufuncs),
        "methods": {n: parameters(f) for n, f in sorted(methods.items()) if callable(f)},
        "attributes": sorted(n for n, f in methods.items() if not callable(f)),
        "constants": sorted(
            n for n, f in public.items() if isinstance(f, int | float | type) or f is None
        ),
    }


def main() -> None:
    """Print the record as JSON."""
    json.dump(record(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
