"""A tape: the array calls of a computation, recorded once and then played without the code around.

Small networks spend more time between array calls than in them. A recorded array is a NumPy array
that notes every call it takes part in, with the very arrays that went in and came out; playing the
tape makes the same calls on the same memory. What cannot be noted makes the tape useless, which
`sound` tells; what is noted wrongly shows when its results are compared with the code's own.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from core.nn.array import Array


class Tape:
    """Calls in their order. `with tape:` records what recorded arrays do until it ends."""

    current: ClassVar["Tape | None"] = None

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self.sound = True

    def __enter__(self) -> "Tape":
        Tape.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Tape.current = None

    def play(self) -> None:
        """Make all calls again, on what their arrays hold now."""
        for call, arguments, options in self.calls:
            call(*arguments, **options)

    def note(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Add a call."""
        self.calls.append((call, arguments, options))


def recorded(array: Array) -> Array:
    """A view of `array` that notes on the tape what is done with it."""
    return array.view(_Recorded)


def plain(array: Any) -> Any:
    """The array itself, that notes nothing."""
    return array.view(np.ndarray) if isinstance(array, _Recorded) else array


class _Recorded(np.ndarray[Any, np.dtype[Any]]):
    """An array whose calls go on the tape."""

    def __array_finalize__(self, source: Any) -> None:
        # Memory of its own, and not from a call that was noted: a copy that the tape knows not.
        if self.base is None and Tape.current is not None:
            Tape.current.sound = False

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arguments = tuple(plain(one) for one in inputs)
        if method == "at":  # adds into an array in place and gives nothing back
            if Tape.current is not None:
                Tape.current.sound = False
            return getattr(ufunc, method)(*arguments)
        given = options.pop("out", None)
        outs = None if given is None else tuple(plain(one) for one in given)
        result = getattr(ufunc, method)(*arguments, out=outs, **options)
        tape = Tape.current
        if tape is None:
            return result
        if isinstance(result, tuple):
            tape.sound = False
            return result
        result = np.asarray(result)
        if method == "__call__" and not options:
            tape.note(ufunc, *arguments, out=result)
        elif method == "reduce" and _plain_reduction(options):
            tape.note(ufunc.reduce, *arguments, **options, out=result)
        else:
            tape.sound = False
        return result.view(_Recorded)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if Tape.current is not None and not np.may_share_memory(found, self):
            Tape.current.sound = False
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        if Tape.current is not None:
            Tape.current.sound = False
        super().__setitem__(index, value)


def _plain_reduction(options: dict[str, Any]) -> bool:
    """Whether a reduction takes all elements and starts with the first."""
    return options.get("where", True) is True and options.get("initial", _NONE) is _NONE


_NONE = np._NoValue


class _Namespace:
    """NumPy, but for functions that do not notice a recorded array among their arguments."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def take(array: Array, indices: Array, **options: Any) -> Array:
        """`numpy.take`, noted on the tape."""
        array, indices = plain(array), plain(indices)
        result = np.asarray(np.take(array, indices, **options))
        if Tape.current is None:
            return result
        # Without clipping NumPy would copy what it takes once more; no index is out of bounds.
        Tape.current.note(array.take, indices, **options, out=result, mode="clip")
        return recorded(result)


NAMESPACE: Any = _Namespace()
"""What takes NumPy's place while a tape records."""
