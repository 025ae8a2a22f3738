"""How numbers are written as text: the decimal mark, and the separator of thousands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

SPACES = "[ \u00a0\u202f]"
"""What separates thousands when a space does: also the spaces that do not break a line."""


@dataclass(frozen=True)
class Notation:
    """Numbers with a `decimal` mark and a separator of `thousands`, which may be empty."""

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def pattern(self) -> str:
        """The regular expression of a number. Thousands are in groups of three digits."""
        whole = rf"(?:\d{{1,3}}(?:{self._separator}\d{{3}})+|\d+)" if self.thousands else r"\d+"
        mark = re.escape(self.decimal)
        return rf"^\s*[-+]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][-+]?\d+)?\s*$"

    def matches(self, values: pa.Array) -> pa.Array:
        """For each text, whether it is a number in this notation."""
        return pc.match_substring_regex(values, self.pattern)

    def plain(self, values: pa.Array) -> pa.Array:
        """The texts without spaces and separators, with a decimal point. Others become `x`."""
        numbers = pc.utf8_trim_whitespace(values)
        if self.thousands:
            shortened = pc.replace_substring_regex(numbers, self._separator, "")
            numbers = pc.if_else(self.matches(values), shortened, "x")
        if self.decimal != ".":
            swapped = pc.replace_substring(numbers, self.decimal, ".", max_replacements=1)
            # A point is no part of a number with another decimal mark.
            numbers = pc.if_else(pc.match_substring(numbers, "."), "x", swapped)
        return numbers

    @property
    def _separator(self) -> str:
        return SPACES if self.thousands == " " else re.escape(self.thousands)


Counts = dict[Notation, int]
"""The number of values in each notation."""

PLAIN = Notation()
NOTATIONS = (
    PLAIN,
    Notation(","),
    Notation(".", ","),
    Notation(",", "."),
    Notation(".", " "),
    Notation(",", " "),
    Notation(".", "'"),
)
"""The notations that are recognised, simpler ones first."""

_LIKELY = r"^\s*[-+]?[\d.,'\s\x{00a0}\x{202f}]*\d[\d.,'\s\x{00a0}\x{202f}]*(?:[eE][-+]?\d+)?\s*$"
"""A superset of all notations, which most text fails at once."""


def likely(values: pa.Array) -> pa.Array:
    """For each text, whether it may be a number in some notation."""
    return pc.match_substring_regex(values, _LIKELY)


def counts(values: pa.Array, notations: Iterable[Notation]) -> Counts:
    """For each notation the number of texts that are numbers in it."""
    candidates = values.filter(likely(values))
    return {notation: pc.sum(notation.matches(candidates)).as_py() or 0 for notation in notations}


def best(counted: Counts) -> list[Notation]:
    """The notations of the highest count: several if the numbers are ambiguous.

    A notation with a separator is left out if that without it fits as well.
    """
    most = max(counted.values())
    fitting = [notation for notation, count in counted.items() if count == most]
    plainer = {notation.decimal for notation in fitting if not notation.thousands}
    return [n for n in fitting if not n.thousands or n.decimal not in plainer]
