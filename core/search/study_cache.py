"""A study kept in memory and updated with what changed, instead of built from all trials."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.search.study import (
    Search,
    Suggestion,
    TrialRecord,
    ask,
    build_study,
    judge,
    quiet,
    write_trial,
)


class CachedStudy:
    """An Optuna study that is updated as trials change. It behaves like one built anew.

    Trials of earlier sweeps (`warm_start`) come first; a pruner never compares with them.
    """

    def __init__(
        self,
        search: Search,
        records: Sequence[TrialRecord],
        warm_start: Sequence[TrialRecord] = (),
    ) -> None:
        self._search = search
        self._records = list(records)
        self._offset = len(warm_start)
        with quiet():
            self._pruned = build_study(search, records)
            self._sampled = self._pruned
            if warm_start:
                later = [self._shifted(record) for record in records]
                self._sampled = build_study(search, [*warm_start, *later])

    def __len__(self) -> int:
        """Return the number of trials, without those of earlier sweeps."""
        return len(self._records)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._records[number]

    def update(self, changed: Iterable[TrialRecord]) -> None:
        """Replace trials, or append them; new numbers follow the last one without a gap."""
        with quiet():
            for record in changed:
                if record.number == len(self._records):
                    self._records.append(record)
                else:
                    self._records[record.number] = record
                write_trial(self._search, self._pruned, record)
                if self._sampled is not self._pruned:
                    write_trial(self._search, self._sampled, self._shifted(record))

    def ask(
        self,
        count: int,
        *,
        state: Mapping[str, Any] | None = None,
        chosen: Mapping[int, Mapping[str, Any]] | None = None,
        first: int | None = None,
    ) -> tuple[list[Suggestion], dict[str, Any]]:
        """As `core.search.study.ask`; the suggestions are added as open trials.

        If the sampler ignores trials, the study may be empty: then `first` is the next number.
        """
        first = len(self._records) if first is None else first
        with quiet():
            suggestions, next_state = ask(self._search, self._sampled, first, count, state, chosen)
        if first == len(self._records):
            self.update(
                TrialRecord(suggestion.number, suggestion.values, attributes=suggestion.attributes)
                for suggestion in suggestions
            )
        return suggestions, next_state

    def judge(self, number: int, *, after: int = 0) -> tuple[int | None, dict[str, Any]]:
        """As `core.search.study.judge`; attributes that the pruner stores are kept."""
        record = self._records[number]
        with quiet():
            verdict, attributes = judge(self._pruned, record, after=after)
        self._records[number] = replace(record, attributes=attributes)
        return verdict, attributes

    def _shifted(self, record: TrialRecord) -> TrialRecord:
        """Return a trial with its number after the trials of earlier sweeps."""
        return replace(record, number=record.number + self._offset)
