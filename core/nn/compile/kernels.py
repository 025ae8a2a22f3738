"""Compile elementwise programs to machine code: one pass over memory, bit-identical to NumPy.

The only module that uses LLVM (through llvmlite). Each operation is the IEEE operation of NumPy, in
NumPy's order, never contracted or reassociated, so compilation changes only the time. Without
llvmlite, everything runs as array calls.
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
"""Approximate costs of importing LLVM, and of compiling one program."""

CALL_SECONDS, NUMBER_SECONDS = 1e-6, 1.2e-9
"""Approximate savings of a compiled pass: for each array call, and for each number."""

TYPES = {"float32": ("float", "f32", 4), "float64": ("double", "f64", 8)}
ARITHMETIC = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}


class BreakEven:
    """Decides when to compile: once the time saved so far would have covered the cost.

    A compiled pass replaces `calls` array calls for `numbers` numbers in all. `programs` is the
    number of programs to compile.
    """

    def __init__(self, numbers: int, calls: int, programs: int = 0) -> None:
        self._saved = 0.0
        self._saves = calls * CALL_SECONDS + numbers * NUMBER_SECONDS
        self._compiling = programs * COMPILE_SECONDS

    def reached(self) -> bool:
        """Count one pass by array calls; True once compiling would have saved time."""
        self._saved += self._saves
        starting = 0.0 if _library.cache_info().currsize > 0 else START_SECONDS
        return self._saved >= starting + self._compiling


class Kernel:
    """A compiled program bound to arrays; each call makes one pass over all of them.

    Arrays `(rows, length)` have the same strides and are contiguous along the last axis.
    `coefficients` is C-contiguous `(rows, count)` of the same dtype and read at each call.
    """

    def __init__(self, function: Any, arrays: Sequence[Array], coefficients: Array) -> None:
        first = arrays[0]
        rows, length = first.shape
        step = first.strides[0] // first.itemsize if rows > 1 else length
        self._arrays = (*arrays, coefficients)  # keeps their memory alive
        addresses = [array.ctypes.data for array in self._arrays]
        numbers = [*addresses, rows, length, step]
        self._function = function
        self._arguments = (ctypes.c_int64 * len(numbers))(*numbers)

    def __call__(self) -> None:
        self._function(self._arguments)

    def call(self) -> tuple[Any, tuple[Any, ...]]:
        """Return the call as a function and its arguments, valid as long as the kernel exists."""
        return self._function, (self._arguments,)


def bind(program: Program, arrays: Sequence[Array], coefficients: Array) -> Kernel | None:
    """Compile `program` for arrays; None if that is not possible or the arrays do not fit.

    The first array must be `(rows, length)`.
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
    """Whether `program` is compiled for this dtype."""
    return (program, np.dtype(dtype).name) in _engines


@functools.cache
def _library() -> Any:
    """The llvmlite binding and the target machine, or None if llvmlite is not installed."""
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
    """Compile `program` to a C function."""
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
    _engines[program, name] = engine
    return function


_engines: dict[tuple[Program, str], Any] = {}
"""The LLVM engines that own the compiled code, which lives as long as the process."""


def source(program: Program, name: str) -> str:
    """Return LLVM IR for `program` over numbers of dtype `name`.

    `run` takes the address of an array of int64: the addresses of the arrays and coefficients, the
    number of rows, their length and their distance. Passing one address is several times faster
    than passing each number.
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
    lines = [line for s in program.statements for line in _operation(s, kind, suffix)]
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
    """Load one number; its address is named `<value>.place`."""
    at = index if isinstance(index, int) else f"%{index}"
    return (
        f"  %{value}.place = getelementptr inbounds {kind}, ptr %{base}, i64 {at}\n"
        f"  %{value} = load {kind}, ptr %{value}.place, align {width}"
    )


def _entry(arrays: int) -> str:
    """A function that reads its arguments from an array and calls the body."""
    kinds = ["ptr"] * (arrays + 1) + ["i64"] * 3
    lines = [
        f"  %q{i} = getelementptr i64, ptr %list, i64 {i}\n  %v{i} = load {kind}, ptr %q{i}"
        for i, kind in enumerate(kinds)
    ]
    passed = ", ".join(f"{kind} %v{i}" for i, kind in enumerate(kinds))
    body = "\n".join(lines)
    return f"define void @run(ptr %list) {{\n{body}\n  call void @body({passed})\n  ret void\n}}"


def _operation(statement: Statement, kind: str, suffix: str) -> list[str]:
    """The lines of one operation; comparisons treat NaN as NumPy does. Raises ValueError."""
    names = [_operand(a, suffix) for a in statement.arguments]
    x, y, t = names[0], names[-1], f"%{statement.target}"
    if statement.operation in ARITHMETIC:
        return [f"  {t} = {ARITHMETIC[statement.operation]} {kind} {x}, {y}"]
    if statement.operation == "negative":
        return [f"  {t} = fneg {kind} {x}"]
    if statement.operation == "sqrt":
        return [f"  {t} = call {kind} @llvm.sqrt.{suffix}({kind} {x})"]
    if statement.operation == "absolute":
        return [f"  {t} = call {kind} @llvm.fabs.{suffix}({kind} {x})"]
    if statement.operation in {"maximum", "minimum"}:
        order = "ogt" if statement.operation == "maximum" else "olt"
        return [
            f"  {t}.first = fcmp {order} {kind} {x}, {y}",
            f"  {t}.nan = fcmp uno {kind} {x}, {x}",
            f"  {t}.take = or i1 {t}.first, {t}.nan",
            f"  {t} = select i1 {t}.take, {kind} {x}, {kind} {y}",
        ]
    if statement.operation == "sign":
        return [
            f"  {t}.up = fcmp ogt {kind} {x}, 0.0",
            f"  {t}.down = fcmp olt {kind} {x}, 0.0",
            f"  {t}.equal = fcmp oeq {kind} {x}, 0.0",
            f"  {t}.rest = select i1 {t}.equal, {kind} 0.0, {kind} {x}",
            f"  {t}.low = select i1 {t}.down, {kind} -1.0, {kind} {t}.rest",
            f"  {t} = select i1 {t}.up, {kind} 1.0, {kind} {t}.low",
        ]
    raise ValueError(f"{statement.operation} cannot be compiled")


def _operand(argument: str | float, suffix: str) -> str:
    """A value by name, or a constant as the bits of a double, which LLVM expects."""
    if isinstance(argument, str):
        return f"%{argument}"
    number = float(np.float32(argument)) if suffix == "f32" else float(argument)
    return f"0x{np.float64(number).view(np.uint64):016X}"
