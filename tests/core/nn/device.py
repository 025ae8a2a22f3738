"""A stand-in for arrays on a GPU: NumPy's numbers behind an array that will not come to the host.

As with CuPy, only `asarray` and `array` bring numbers to the device and only `get` brings them
back; anything else that meets a NumPy array raises TypeError, and so do float(), iteration and
NumPy's own functions. Every function and method that is used is noted in `Device.calls`.
"""

import operator
from types import SimpleNamespace
from typing import Any

import numpy as np

ATTRIBUTES = {"shape", "ndim", "size", "dtype", "nbytes", "strides", "itemsize"}
VIEWS = {"T", "mT", "base", "real"}
NUMBERS = (bool, int, float, np.generic)


class DeviceError(TypeError):
    """Numbers would cross between device and host without anybody having asked."""


class DeviceArray:
    """An array of a `Device`."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]  # as NumPy's arrays

    def __init__(self, device: "Device", held: np.ndarray) -> None:
        self._device = device
        self._held = held

    def get(self) -> np.ndarray:
        """The numbers, copied to the host."""
        return self._held.copy()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise DeviceError("an array of the device would become one of the host")

    __array__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = _refuse
    __array_function__ = tolist = item = tobytes = _refuse

    def __len__(self) -> int:
        return len(self._held)

    def __bool__(self) -> bool:
        if self._held.size != 1:
            raise DeviceError("an array has no truth")
        return bool(self._held)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self._held, name)
        if name in VIEWS:
            return self._device.wrap(getattr(self._held, name))
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        return self._device.noted("methods", name, getattr(self._held, name))

    def __getitem__(self, index: Any) -> Any:
        return self._device.wrap(self._held[self._device.unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._held[self._device.unwrap(index)] = self._device.unwrap(value)


def _binary(name: str, *, swapped: bool = False) -> Any:
    function = getattr(operator, name)

    def method(self: DeviceArray, other: Any) -> Any:
        if not isinstance(other, (DeviceArray, *NUMBERS)):
            raise DeviceError(f"{name} of an array of the device and {type(other).__name__}")
        other = self._device.unwrap(other)
        result = function(other, self._held) if swapped else function(self._held, other)
        return self if result is self._held else self._device.wrap(result)

    return method


def _unary(name: str) -> Any:
    function = getattr(operator, name)
    return lambda array: array._device.wrap(function(array._held))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(DeviceArray, f"__{_name}__", _binary(_name))
    setattr(DeviceArray, f"__r{_name}__", _binary(_name, swapped=True))
    setattr(DeviceArray, f"__i{_name}__", _binary(f"i{_name}"))
for _name in ("and_", "or_", "xor"):
    setattr(DeviceArray, f"__{_name.strip('_')}__", _binary(_name))
    setattr(DeviceArray, f"__i{_name.strip('_')}__", _binary(f"i{_name.strip('_')}"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(DeviceArray, f"__{_name}__", _binary(_name))
for _name in ("neg", "abs", "invert", "pos"):
    setattr(DeviceArray, f"__{_name}__", _unary(_name))


class Device:
    """The namespace of the device: NumPy's functions for its arrays alone.

    `calls` holds what was used: `(table, name, number of positional arguments, keywords)`.
    """

    def __init__(self) -> None:
        self.calls: set[tuple[str, str, int, frozenset[str]]] = set()
        strided = self.noted(
            "functions", "lib.stride_tricks.as_strided", np.lib.stride_tricks.as_strided
        )
        self.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=strided))

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type | float) or found is None:
            self.calls.add(("constants", name, 0, frozenset()))
            return found
        return self.noted("functions", name, found)

    def asarray(self, values: Any, dtype: Any = None) -> DeviceArray:
        """Bring numbers to the device."""
        if isinstance(values, DeviceArray):
            array = values._held if dtype is None else values._held.astype(dtype, copy=False)
        else:
            array = np.array(values, dtype)
        return DeviceArray(self, array)

    array = asarray

    def noted(self, table: str, name: str, function: Any) -> Any:
        """The function for arrays of the device, its calls noted."""

        def call(*args: Any, **options: Any) -> Any:
            self.calls.add((table, name, len(args), frozenset(options)))
            result = function(
                *(self.unwrap(one) for one in args),
                **{key: self.unwrap(one) for key, one in options.items()},
            )
            out = options.get("out")
            return self.wrap(result) if out is None else out

        for method in ("at", "reduce", "accumulate", "outer"):
            if isinstance(function, np.ufunc):
                inner = getattr(function, method)
                setattr(call, method, self.noted("ufunc_methods", f"{name}.{method}", inner))
        return call

    def wrap(self, value: Any) -> Any:
        """Results of NumPy as arrays of the device."""
        if isinstance(value, np.ndarray | np.generic):
            return DeviceArray(self, np.asarray(value))
        if isinstance(value, tuple | list):
            return type(value)(self.wrap(one) for one in value)
        return value

    def unwrap(self, value: Any) -> Any:
        """Arguments for NumPy. Raises DeviceError for an array of the host."""
        if isinstance(value, DeviceArray):
            return value._held
        if isinstance(value, np.ndarray):
            raise DeviceError("an array of the host went where one of the device has to go")
        if isinstance(value, tuple | list):
            return type(value)(self.unwrap(one) for one in value)
        return value
