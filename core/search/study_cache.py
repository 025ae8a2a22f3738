"""What a search has tried, kept in memory between two looks: only what changed is written into it.

What it gives is what a notebook begun anew from all trials would give.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.search.study import (
    Search,
    Suggestion,
    Tried,
    ask,
    judge,
    put,
    quiet,
    study_of,
)


class Notebook:
    """An Optuna study that is told as the rows change, and asked as often as wanted.

    What others tried before (`prior`) comes first in it; a pruner never compares with that.
    """

    def __init__(self, search: Search, tried: Sequence[Tried], prior: Sequence[Tried] = ()) -> None:
        self._search = search
        self._tried = list(tried)
        self._ahead = len(prior)
        with quiet():
            self._judged = study_of(search, tried)
            self._asked = self._judged
            if prior:
                later = [self._behind(one) for one in tried]
                self._asked = study_of(search, [*prior, *later])

    def __len__(self) -> int:
        """How many trials it knows."""
        return len(self._tried)

    def __getitem__(self, number: int) -> Tried:
        return self._tried[number]

    def write(self, changed: Iterable[Tried]) -> None:
        """Note how trials stand now; new ones come after the last, without a gap."""
        with quiet():
            for one in changed:
                if one.number == len(self._tried):
                    self._tried.append(one)
                else:
                    self._tried[one.number] = one
                put(self._search, self._judged, one)
                if self._asked is not self._judged:
                    put(self._search, self._asked, self._behind(one))

    def ask(
        self,
        count: int,
        *,
        state: Mapping[str, Any] | None = None,
        wanted: Mapping[int, Mapping[str, Any]] | None = None,
        begun: int | None = None,
    ) -> tuple[list[Suggestion], dict[str, Any]]:
        """As `core.search.study.ask`. What was suggested is noted as trials that are open.

        A blind sampler's trials need not be known: then `begun` says how many there were.
        """
        first = len(self._tried) if begun is None else begun
        with quiet():
            found, left = ask(self._search, self._asked, first, count, state, wanted)
        if first == len(self._tried):
            self.write(Tried(one.number, one.values, attributes=one.attributes) for one in found)
        return found, left

    def judge(self, number: int, *, seen: int = 0) -> tuple[int | None, dict[str, Any]]:
        """As `core.search.study.judge`; what the pruner notes on the trial stays noted."""
        mine = self._tried[number]
        with quiet():
            verdict, attributes = judge(self._judged, mine, seen=seen)
        self._tried[number] = replace(mine, attributes=attributes)
        return verdict, attributes

    def _behind(self, one: Tried) -> Tried:
        """A trial as it is numbered behind those of others."""
        return replace(one, number=one.number + self._ahead)
