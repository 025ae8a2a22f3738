"""Record the array calls of a computation once, then replay them without the Python code around.

Small networks spend more time between array calls than in them. A recorded array is a NumPy array
that records each call it takes part in, with its input and output arrays; replaying the tape makes
the same calls on the same memory. An operation that cannot be recorded sets `sound` to False. The
caller compares the results of the tape with those of the code before it relies on the tape.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from core.nn.array import Array


class Tape:
    """Calls in order. `with tape:` records the calls that recorded arrays take part in."""

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
        """Make all calls again on the current content of their arrays."""
        for call, arguments, options in self.calls:
            call(*arguments, **options)

    def note(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Append a call."""
        self.calls.append((call, arguments, options))


def recorded(array: Array) -> Array:
    """Return a view of `array` whose calls are recorded on the current tape."""
    return array.view(_Recorded)


def plain(array: Any) -> Any:
    """Return the array as a plain NumPy array, whose calls are not recorded."""
    return array.view(np.ndarray) if isinstance(array, _Recorded) else array


class _Recorded(np.ndarray[Any, np.dtype[Any]]):
    """An array whose calls are recorded on the current tape."""

    def __array_finalize__(self, source: Any) -> None:
        # It owns its memory: a copy made by a call that was not recorded.
        if self.base is None and Tape.current is not None:
            Tape.current.sound = False

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arguments = tuple(plain(value) for value in inputs)
        if method == "at":  # in place, without a result
            if Tape.current is not None:
                Tape.current.sound = False
            return getattr(ufunc, method)(*arguments)
        given = options.pop("out", None)
        outs = None if given is None else tuple(plain(value) for value in given)
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
        item = super().__getitem__(index)
        if Tape.current is not None and not np.may_share_memory(item, self):
            Tape.current.sound = False
        return item

    def __setitem__(self, index: Any, value: Any) -> None:
        if Tape.current is not None:
            Tape.current.sound = False
        super().__setitem__(index, value)


def _plain_reduction(options: dict[str, Any]) -> bool:
    """Whether a reduction covers all elements and starts with the first."""
    return options.get("where", True) is True and options.get("initial", _NO_VALUE) is _NO_VALUE


_NO_VALUE = np._NoValue


class _Namespace:
    """NumPy, with functions replaced that do not dispatch on recorded arrays."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def take(array: Array, indices: Array, **options: Any) -> Array:
        """`numpy.take`, recorded on the tape."""
        array, indices = plain(array), plain(indices)
        result = np.asarray(np.take(array, indices, **options))
        if Tape.current is None:
            return result
        # `clip` saves NumPy a copy; no index is out of bounds.
        Tape.current.note(array.take, indices, **options, out=result, mode="clip")
        return recorded(result)


NAMESPACE: Any = _Namespace()
"""Replaces the array library while a tape records."""
