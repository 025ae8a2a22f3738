"""The jobs of one attempt, alone or as a stack, as all threads of the attempt see them."""

import threading
from collections.abc import Collection, Sequence

from core import jobs


class Members:
    """The claimed jobs, and which of them are still owned. Any thread may read at any time.

    Network n of the runner trains the job of claim n. A job leaves when its attempt has ended.
    """

    def __init__(self, claims: Sequence[jobs.Claim]) -> None:
        self.claims = tuple(claims)
        self._networks = {claim.job_id: number for number, claim in enumerate(claims)}
        self._changing = threading.Lock()
        # Both are replaced as a whole and never changed, so that readers need no lock.
        self._present: jobs.Owned = {claim.job_id: claim.attempt for claim in claims}
        self._superseded: frozenset[str] = frozenset()

    @property
    def first(self) -> jobs.Claim:
        """The claim on the first job; the others have the same data and shape of network."""
        return self.claims[0]

    @property
    def alone(self) -> bool:
        """Whether the attempt was made for a single job."""
        return len(self.claims) == 1

    @property
    def owned(self) -> jobs.Owned:
        """The attempt numbers of the jobs that may still be written, by job id."""
        superseded = self._superseded
        return {job_id: n for job_id, n in self._present.items() if job_id not in superseded}

    @property
    def superseded(self) -> set[str]:
        """The jobs that another attempt took over and that have not left yet."""
        return set(self._superseded & self._present.keys())

    def network(self, job_id: str) -> int:
        """The number of the network that the runner trains for a job."""
        return self._networks[job_id]

    def leave(self, job_ids: Collection[str]) -> None:
        """The attempts at these jobs have ended: nothing more is written for them."""
        with self._changing:
            left = {job_id: n for job_id, n in self._present.items() if job_id not in job_ids}
            self._present = left

    def confirm(self, asked: jobs.Owned, still_owned: Collection[str]) -> None:
        """Take note of which of the `asked` jobs the database said are still owned."""
        with self._changing:
            self._superseded |= asked.keys() - set(still_owned)
