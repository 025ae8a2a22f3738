"""Elementwise programs as machine code: one pass over memory, the same bits as NumPy.

The one place that knows LLVM (by llvmlite, which Numba brings). Each operation is the IEEE one that
NumPy does, in NumPy's order, never contracted or reassociated, so whether a program runs fused or
as array calls changes nothing but time. Where llvmlite is absent, everything runs as array calls.
"""

import ctypes
import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.nn.array import Array
from core.nn.compile.trace import Program, Statement

START_SECONDS, COMPILE_SECONDS = 0.15, 0.01
"""About what importing LLVM takes, and compiling a program."""

CALL_SECONDS, NUMBER_SECONDS = 1e-6, 1.2e-9
"""About what fusing saves: for each array call, and for each number of a pass."""

TYPES = {"float32": ("float", "f32", 4), "float64": ("double", "f64", 8)}
PLAIN = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}


class Gain:
    """Decides when fusing has paid for itself: once it would have saved what it costs to start.

    A pass fused saves `calls` array calls for `numbers` numbers; `programs` are to be compiled.
    """

    def __init__(self, numbers: int, calls: int, programs: int = 0) -> None:
        self._saved = 0.0
        self._saves = calls * CALL_SECONDS + numbers * NUMBER_SECONDS
        self._compiling = programs * COMPILE_SECONDS

    def reached(self) -> bool:
        """Count one more pass done by array calls; True once fusing would have been worth it."""
        self._saved += self._saves
        starting = 0.0 if _library.cache_info().currsize > 0 else START_SECONDS
        return self._saved >= starting + self._compiling


class Kernel:
    """A compiled program bound to arrays: call it to run over all of them once.

    Whole arrays are `(rows, length)`, all with the same strides and contiguous along the last axis;
    `coefficients` is C-contiguous `(rows, count)` of the same dtype, read anew at each call.
    """

    def __init__(self, function: Any, arrays: Sequence[Array], coefficients: Array) -> None:
        first = arrays[0]
        rows, length = first.shape
        step = first.strides[0] // first.itemsize if rows > 1 else length
        self._kept = (*arrays, coefficients)  # their memory must outlive this kernel
        places = [array.ctypes.data for array in self._kept]
        numbers = [*places, rows, length, step]
        self._function = function
        self._arguments = (ctypes.c_int64 * len(numbers))(*numbers)

    def __call__(self) -> None:
        self._function(self._arguments)

    def call(self) -> tuple[Any, tuple[Any, ...]]:
        """The same as a function and its arguments; they are good as long as the kernel lives."""
        return self._function, (self._arguments,)


def bind(program: Program, arrays: Sequence[Array], coefficients: Array) -> Kernel | None:
    """`program` over these arrays, or None where it cannot be compiled or they do not suit it.

    The first array must be a whole one.
    """
    first = arrays[0]
    name = first.dtype.name
    if _library() is None or name not in TYPES:
        return None
    for number, array in enumerate(arrays):
        if type(array) is not np.ndarray or array.dtype != first.dtype:
            return None
        if array.shape != program.shape(number, *first.shape):
            return None
        if array.shape == first.shape and array.strides != first.strides:
            return None
        if number in program.every_column and not array.flags.c_contiguous:
            return None
        if array.strides[-1] != array.itemsize:
            return None
    function = _compiled(program, name)
    return None if function is None else Kernel(function, arrays, coefficients)


def is_compiled(program: Program, dtype: Any) -> bool:
    """Whether `program` was compiled before for this dtype."""
    return (program, np.dtype(dtype).name) in _known


@functools.cache
def _library() -> Any:
    """llvmlite's binding with a machine to compile for; None where it is not installed."""
    try:
        llvm = importlib.import_module("llvmlite.binding")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    except (ImportError, OSError, RuntimeError):
        return None
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
    return llvm, machine


@functools.cache
def _compiled(program: Program, name: str) -> Any:
    """A C function for `program`."""
    llvm, machine = _library()
    module = llvm.parse_assembly(source(program, name))
    module.triple = llvm.get_process_triple()
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    tuning.loop_interleaving = True
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("run"))
    _known[program, name] = engine
    return function


_known: dict[tuple[Program, str], Any] = {}
"""The owners of all code compiled so far: it lives as long as the process."""


def source(program: Program, name: str) -> str:
    """LLVM's intermediate language for `program` over numbers of dtype `name`.

    `run` takes the address of a list of whole numbers: where the arrays and the coefficients are,
    how many rows, how long they are, how far apart they begin. Handing over one address is several
    times quicker than handing over each.
    """
    kind, suffix, width = TYPES[name]
    arrays = range(program.arrays)
    parameters = "".join(f"ptr noalias %p{i}, " for i in arrays)
    parameters += "ptr noalias %numbers, i64 %rows, i64 %length, i64 %step"
    index = {
        **dict.fromkeys(arrays, "at"),
        **dict.fromkeys(program.every_row, "i"),
        **dict.fromkeys(program.every_column, "r"),
    }
    read = [_load(f"a{i}", f"p{i}", index[i], kind, width) for i in arrays]
    coefficients = range(program.coefficients)
    numbers = [_load(f"c{i}", "row", i, kind, width) for i in coefficients]
    lines = [line for one in program.statements for line in _operation(one, kind, suffix)]
    write = [f"  store {kind} %{v}, ptr %a{i}.place, align {width}" for i, v in program.stores]
    newline = "\n"
    return f"""
declare {kind} @llvm.sqrt.{suffix}({kind})
declare {kind} @llvm.fabs.{suffix}({kind})
{_entry(program.arrays)}
define internal void @body({parameters}) noinline {{
entry:
  %any = icmp sgt i64 %rows, 0
  %some = icmp sgt i64 %length, 0
  %both = and i1 %any, %some
  br i1 %both, label %outer, label %done
outer:
  %r = phi i64 [0, %entry], [%nextrow, %rowdone]
  %offset = mul i64 %r, {program.coefficients}
  %row = getelementptr inbounds {kind}, ptr %numbers, i64 %offset
  %base = mul i64 %r, %step
{newline.join(numbers)}
  br label %inner
inner:
  %i = phi i64 [0, %outer], [%next, %inner]
  %at = add nsw i64 %base, %i
{newline.join(read)}
{newline.join(lines)}
{newline.join(write)}
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %length
  br i1 %more, label %inner, label %rowdone
rowdone:
  %nextrow = add nuw nsw i64 %r, 1
  %morerows = icmp slt i64 %nextrow, %rows
  br i1 %morerows, label %outer, label %done
done:
  ret void
}}
"""


def _load(value: str, base: str, index: str | int, kind: str, width: int) -> str:
    """Read one number; where it lies is kept as `<value>.place`."""
    at = index if isinstance(index, int) else f"%{index}"
    return (
        f"  %{value}.place = getelementptr inbounds {kind}, ptr %{base}, i64 {at}\n"
        f"  %{value} = load {kind}, ptr %{value}.place, align {width}"
    )


def _entry(arrays: int) -> str:
    """A function that reads its arguments from a list and goes on to the body."""
    kinds = ["ptr"] * (arrays + 1) + ["i64"] * 3
    lines = [
        f"  %q{i} = getelementptr i64, ptr %list, i64 {i}\n  %v{i} = load {kind}, ptr %q{i}"
        for i, kind in enumerate(kinds)
    ]
    passed = ", ".join(f"{kind} %v{i}" for i, kind in enumerate(kinds))
    body = "\n".join(lines)
    return f"define void @run(ptr %list) {{\n{body}\n  call void @body({passed})\n  ret void\n}}"


def _operation(one: Statement, kind: str, suffix: str) -> list[str]:
    """The lines of one operation; comparisons treat NaN as NumPy does."""
    names = [_operand(a, suffix) for a in one.arguments]
    x, y, t = names[0], names[-1], f"%{one.target}"
    if one.operation in PLAIN:
        return [f"  {t} = {PLAIN[one.operation]} {kind} {x}, {y}"]
    if one.operation == "negative":
        return [f"  {t} = fneg {kind} {x}"]
    if one.operation == "sqrt":
        return [f"  {t} = call {kind} @llvm.sqrt.{suffix}({kind} {x})"]
    if one.operation == "absolute":
        return [f"  {t} = call {kind} @llvm.fabs.{suffix}({kind} {x})"]
    if one.operation in {"maximum", "minimum"}:
        order = "ogt" if one.operation == "maximum" else "olt"
        return [
            f"  {t}.first = fcmp {order} {kind} {x}, {y}",
            f"  {t}.nan = fcmp uno {kind} {x}, {x}",
            f"  {t}.take = or i1 {t}.first, {t}.nan",
            f"  {t} = select i1 {t}.take, {kind} {x}, {kind} {y}",
        ]
    if one.operation == "sign":
        return [
            f"  {t}.up = fcmp ogt {kind} {x}, 0.0",
            f"  {t}.down = fcmp olt {kind} {x}, 0.0",
            f"  {t}.equal = fcmp oeq {kind} {x}, 0.0",
            f"  {t}.rest = select i1 {t}.equal, {kind} 0.0, {kind} {x}",
            f"  {t}.low = select i1 {t}.down, {kind} -1.0, {kind} {t}.rest",
            f"  {t} = select i1 {t}.up, {kind} 1.0, {kind} {t}.low",
        ]
    raise ValueError(f"{one.operation} cannot be fused")


def _operand(argument: str | float, suffix: str) -> str:
    """A value by name, or a constant as the bits of the double that LLVM wants to see."""
    if isinstance(argument, str):
        return f"%{argument}"
    number = float(np.float32(argument)) if suffix == "f32" else float(argument)
    return f"0x{np.float64(number).view(np.uint64):016X}"
