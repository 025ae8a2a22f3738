"""Queries for rows of a dataset: `label:[0 TO 4] AND source:scanner @sample:0.5 @seed:7`.

Parsed by recursive descent, loosest first: OR, AND (also by writing terms side by side), NOT,
then a term in parentheses or `column:value`. Directives begin with `@` and stand anywhere outside
parentheses.
"""

import re
from dataclasses import dataclass, field, replace

from core.data.split.split import PARTS, Split
from core.errors import FieldError, InvalidError

MAX_CHARACTERS = 10_000
MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<directive>@[A-Za-z_]+)
      | (?P<sign>>=|<=|[()\[\]{}:<>])
      | (?P<word>[^\s()\[\]{}:<>"@]+)
    )""",
    re.VERBOSE,
)
_SHARE = re.compile(r"0?\.\d{1,18}|0|1(\.0{1,18})?")
DIRECTIVES = ("sample", "seed", "limit", "group_by", "split", "stratify", "part")


@dataclass(frozen=True)
class Compare:
    """`column:value`, `column:>=value`: the sign is `=`, `<`, `<=`, `>` or `>=`."""

    column: str
    sign: str
    value: str
    quoted: bool = False


@dataclass(frozen=True)
class Present:
    """`column:*`: the cell is not empty."""

    column: str


@dataclass(frozen=True)
class Both:
    """All of the parts."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Either:
    """At least one of the parts."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The part is not true; holds also where a cell is empty."""

    part: "Condition"


Condition = Compare | Present | Both | Either | Not


@dataclass(frozen=True)
class Query:
    """Rows that meet `condition`, or a seeded share or a number of them or of their groups.

    `split` splits the selected rows into parts; `part` selects one of them.
    """

    condition: Condition | None = None
    sample: float | None = None
    seed: int = 0
    limit: int | None = None
    group_by: str | None = None
    columns: tuple[str, ...] = field(default=())
    """The columns that the query names, in order."""
    split: Split | None = None
    part: str | None = None

    @property
    def job_split(self) -> Split | None:
        """The split of a job's rows, or None if the query only selects rows."""
        return self.split if self.part is None else None

    def without_job_split(self) -> "Query":
        """The query without the split of a job's rows."""
        return replace(self, split=None) if self.job_split is not None else self


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int


def parse(text: str) -> Query:
    """Parse a query. Raises InvalidError naming the position of an error."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidError(f"a query has at most {MAX_CHARACTERS:,} characters")
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0
        self._given: dict[str, str] = {}
        self._columns: dict[str, None] = {}
        self._shares: list[float] = []

    def query(self) -> Query:
        condition = None
        self._directives()
        if self._peek() is not None:
            condition = self._either()
        if (rest := self._peek()) is not None:
            raise self._wrong(f"{rest.text!r} was not expected", rest)
        given = self._given
        split = self._split()
        others = (given.get("group_by"), *((split.column, split.stratify_by) if split else ()))
        self._columns.update((name, None) for name in others if name is not None)
        return Query(
            condition,
            None if "sample" not in given else self._fraction(given["sample"]),
            self._seed(),
            None if "limit" not in given else self._whole("limit", given["limit"], 1, 2**62),
            given.get("group_by"),
            tuple(self._columns),
            split,
            given.get("part"),
        )

    def _split(self) -> Split | None:
        """The split that `@split` and its directives describe."""
        given = self._given
        stratify, part = given.get("stratify"), given.get("part")
        if "split" not in given:
            for name in ("stratify", "part"):
                if name in given:
                    raise self._wrong(f"@{name} is for the parts of a @split, which is missing")
            return None
        if part is not None and part not in PARTS:
            raise self._wrong(f"@part is train, valid or test, not {part!r:.40}")
        if not self._shares:
            if stratify is not None:
                raise self._wrong("@split by a column needs no @stratify: the column says it all")
            return Split({}, given["split"], seed=self._seed())
        if stratify is not None and "group_by" in given:
            raise self._wrong("whole groups cannot be stratified: leave @stratify or @group_by out")
        shares = dict(zip(PARTS, [*self._shares, 0.0], strict=False))
        if not shares["train"] or sum(shares.values()) > 1 + 1e-9:
            raise self._wrong("@split takes shares above 0 for train, and of 1 at most together")
        return Split(shares, None, given.get("group_by"), stratify, self._seed())

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._word("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._not()]
        self._directives()
        while (token := self._peek()) is not None and token.text not in (")", "OR"):
            self._word("AND")
            parts.append(self._not())
            self._directives()
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _not(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} terms inside each other", self._peek())
        try:
            if self._word("NOT"):
                return Not(self._not())
            if self._take("("):
                inner = self._either()
                self._expect(")")
                return inner
            return self._term()
        finally:
            self._depth -= 1

    def _term(self) -> Condition:
        column = self._value("a column").text
        self._columns[column] = None
        self._expect(":")
        if self._take("["):
            return self._range(column, ">=")
        if self._take("{"):
            return self._range(column, ">")
        for sign in (">=", "<=", ">", "<"):
            if self._take(sign):
                return self._compare(column, sign, self._value("a value"))
        if self._take("("):
            options = [self._compare(column, "=", self._value("a value"))]
            while not self._take(")"):
                self._word("OR")
                options.append(self._compare(column, "=", self._value("a value or )")))
            return Either(tuple(options))
        token = self._value("a value")
        if token.kind == "word" and token.text == "*":
            return Present(column)
        return self._compare(column, "=", token)

    def _range(self, column: str, low_sign: str) -> Condition:
        low = self._value("the low end")
        if not self._word("TO"):
            raise self._wrong("a range is written [low TO high]", self._peek())
        high = self._value("the high end")
        high_sign = "<" if self._take("}") else "<="
        if high_sign == "<=":
            self._expect("]")
        ends = [(low_sign, low), (high_sign, high)]
        parts = tuple(self._compare(column, s, t) for s, t in ends if t.text != "*")
        return Both((Present(column), *parts))

    def _compare(self, column: str, sign: str, token: _Token) -> Compare:
        return Compare(column, sign, token.text, token.kind == "quoted")

    def _directives(self) -> None:
        while (token := self._peek()) is not None and token.kind == "directive":
            if self._depth:
                raise self._wrong(f"{token.text} cannot stand in parentheses", token)
            name = token.text[1:]
            if name not in DIRECTIVES:
                known = ", ".join(f"@{name}" for name in DIRECTIVES)
                raise self._wrong(f"{token.text} is not known; there are {known}", token)
            if name in self._given:
                raise self._wrong(f"{token.text} is given twice", token)
            self._at += 1
            self._expect(":")
            value = self._value("a value")
            self._given[name] = value.text
            if name == "split" and value.kind == "word" and _SHARE.fullmatch(value.text):
                self._read_shares(value.text)

    def _read_shares(self, first: str) -> None:
        """The shares after the first one, as in `0.8:0.1:0.1`."""
        self._shares = [float(first)]
        while self._take(":"):
            token = self._value("a share")
            if not _SHARE.fullmatch(token.text):
                raise self._wrong(f"{token.text!r:.40} is no share from 0 to 1", token)
            self._shares.append(float(token.text))
        if not 2 <= len(self._shares) <= len(PARTS):
            raise self._wrong("@split takes shares for train and valid, or for train, valid, test")

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, sign: str) -> bool:
        token = self._peek()
        matches = token is not None and token.kind == "sign" and token.text == sign
        self._at += matches
        return matches

    def _word(self, word: str) -> bool:
        token = self._peek()
        matches = token is not None and token.kind == "word" and token.text == word
        self._at += matches
        return matches

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._wrong(f"{sign!r} is missing", self._peek())

    def _value(self, what: str) -> _Token:
        token = self._peek()
        reserved = ("AND", "OR", "NOT", "TO")
        if token is None or token.kind not in ("word", "quoted"):
            raise self._wrong(f"{what} is missing", token)
        if token.kind == "word" and token.text in reserved:
            raise self._wrong(f"{what} is missing; quote {token.text!r} if it is meant", token)
        self._at += 1
        return token

    def _seed(self) -> int:
        return self._whole("seed", self._given.get("seed", "0"), 0, 2**32 - 1)

    def _whole(self, name: str, text: str, low: int, high: int) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:20]) <= high):
            raise self._wrong(f"@{name} takes a whole number from {low} on, not {text!r:.40}")
        return int(text)

    def _fraction(self, text: str) -> float:
        if not _SHARE.fullmatch(text) or not 0 < float(text) <= 1:
            raise self._wrong(f"@sample takes a share above 0 up to 1, not {text!r:.40}")
        return float(text)

    def _wrong(self, message: str, token: _Token | None = None) -> InvalidError:
        place = len(self._text) if token is None else token.place
        return invalid(f"{message} (at character {place + 1})")


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise invalid(
                f"{text[place:].strip()[:20]!r} cannot be read (at character {place + 1})"
            )
        kind = match.lastgroup
        word = match[kind]
        if kind == "quoted":
            word = re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
        tokens.append(_Token(kind, word, match.start(kind)))
        place = match.end()
    return tokens


def invalid(message: str) -> InvalidError:
    """An error of the field `query`."""
    return InvalidError(message, [FieldError("query", message)])
