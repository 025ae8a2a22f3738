"""Sources of a server: the submitting project's code, sent once and named by what is submitted."""

import logging
from collections.abc import Mapping
from typing import Any

from chainrule.problem import ProblemError
from chainrule.source_capture import capture, switched_on
from chainrule.transport import Document, Transport

log = logging.getLogger("chainrule")

_REFUSED = {404, 405, 413, 422}


class Sources:
    """What jobs and sweeps were submitted from."""

    def __init__(self, transport: Transport, *, attached: bool | None = None) -> None:
        """`attached`: whether the source goes with what is submitted; None: CHAINRULE_SOURCE."""
        self._transport = transport
        self._attached = attached
        self._kept: tuple[Document, str] | None = None

    def keep(self, source: Mapping[str, Any]) -> Document:
        """Send a source; the answer has its `digest`, for a JobSpec's field `source`."""
        return self._transport.post("/v1/sources", dict(source), repeatable=True)

    def attach(self, spec: Mapping[str, Any]) -> Document:
        """The JobSpec with the source it is submitted from, unless it names one.

        A source that the server refuses is told of in the log; the job goes without it.
        """
        document = dict(spec)
        on = switched_on() if self._attached is None else self._attached
        if not on or document.get("source") is not None:
            return document
        source = capture()
        if source is None:
            return document
        if self._kept is None or self._kept[0] != source:
            try:
                self._kept = source, self.keep(source)["digest"]
            except ProblemError as problem:
                if problem.status not in _REFUSED:
                    raise
                log.warning("submitted without its source: %s", problem.detail)
                return document
        return {**document, "source": self._kept[1]}
