"""Source code of the submitting project: sent once, and named by the jobs that use it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.client.problem import ProblemError
from chainrule.client.records import Record
from chainrule.client.source_capture import capture, switched_on
from chainrule.client.transport import Document, Transport, segment

log = logging.getLogger("chainrule")

_REFUSED = {404, 405, 413, 422}


class Sources:
    """Source code of jobs and sweeps."""

    def __init__(
        self, transport: Transport, *, attached: bool | None = None, files: Sequence[str] = ()
    ) -> None:
        """`attached`: whether jobs are sent with their source. None: CHAINRULE_SOURCE decides.

        `files`: untracked files that belong to the source although they are not source files.
        """
        self._transport = transport
        self._files = tuple(files)
        self._attached = attached
        self._last: tuple[Document, str] | None = None

    def keep(self, source: Mapping[str, Any]) -> Record:
        """Send a source. The answer has its `digest`, for the field `source` of a JobSpec."""
        return self._transport.post("/v1/sources", dict(source), repeatable=True)

    def erase(self, digest: str) -> None:
        """Erase the texts of a source on the server. Raises ProblemError (404)."""
        self._transport.delete(f"/v1/sources/{segment(digest)}")

    def attach(self, spec: Mapping[str, Any]) -> Document:
        """Return the JobSpec with the source of the current project, unless it names one.

        If the server refuses the source, log a warning and return the JobSpec without it.
        """
        document = dict(spec)
        enabled = switched_on() if self._attached is None else self._attached
        if not enabled or document.get("source") is not None:
            return document
        source = capture(named=self._files)
        if source is None:
            return document
        if self._last is None or self._last[0] != source:
            try:
                self._last = source, self.keep(source)["digest"]
            except ProblemError as problem:
                if problem.status not in _REFUSED:
                    raise
                log.warning("submitted without its source: %s", problem.detail)
                return document
        return {**document, "source": self._last[1]}
