"""The process that computes: `python -m worker.runner`, started by a worker's child.

It stays warm between jobs. It runs in a sandbox and holds no credentials: data comes as files,
everything it has to say goes over the channel, so whatever kills it (memory, a crash in native
code) kills nothing else.
"""

import argparse
import logging
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from core.data.table.reader import Arrival, load
from core.errors import InvalidError, TrainingError
from core.events import CheckpointFailed, CheckpointSaved, Codec, Event
from core.shortage import shortage
from core.spec import JobSpec
from core.spec.inference import EvaluationSpec, ScoringSpec
from core.training.loop import train, train_stack
from core.training.model import TrainedModel
from core.training.run import Command, Events, Leave
from core.training.table_evaluation import measure
from core.training.table_predictions import score
from worker.runner.channel import Channel, ChannelClosedError, Message
from worker.runner.inbox import Inbox
from worker.runner.sandbox import limit_resources

_MOST_TRACEBACK = 4000
_SILENCE_SECONDS = 5.0


class BadCheckpointError(Exception):
    """The checkpoint does not fit the spec or the data that resume from it."""


def main() -> None:
    """Do the work that the parent sends, one message after the other, until the parent is gone."""
    parser = argparse.ArgumentParser(prog="python -m worker.runner", description=__doc__)
    parser.add_argument("descriptor", type=int, help="file descriptor of the channel")
    parser.add_argument("--memory-bytes", type=int, default=0)
    given = parser.parse_args()
    limit_resources(given.memory_bytes)
    channel = Channel.inherited(given.descriptor)
    inbox = Inbox(channel)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_WarningHandler(channel))
    with suppress(ChannelClosedError):
        channel.send({"say": "ready"})
        fit = True
        while fit:
            fit = _serve(channel, inbox)


class _WarningHandler(logging.Handler):
    """Sends the warnings of libraries to the worker, for the job's log."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record to the worker."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._channel.send({"say": "log", "level": level, "text": record.getMessage()})


def _serve(channel: Channel, inbox: Inbox) -> bool:
    """Do the next work and send how it ended; whether this process can be used again."""
    work = inbox.next_work()
    _reset_peak()
    fit = True
    try:
        end = _WORKS[work["kind"]](channel, inbox, work)
    except ChannelClosedError:
        raise
    except Exception as error:
        end, fit = _explain(error)
    inbox.done()
    channel.send({"say": "ended", "peak_memory_bytes": _peak_bytes(), "fit": fit, **end})
    return fit


def _train(channel: Channel, inbox: Inbox, work: Message) -> Message:
    """Send the events of one network, or of a stack, until training ends or must stop."""
    resume = Path(work["resume"]) if work["resume"] else None
    events = _events(work, resume)
    with closing(events):
        sent_at = time.monotonic()
        event = _first(events, resume)
        while True:
            command: Command | None = None
            if event is not None:
                channel.send({"say": "event", **Codec.encode(event)})
                sent_at = time.monotonic()
                if inbox.stop.is_set() and isinstance(event, CheckpointSaved | CheckpointFailed):
                    return {"how": "stopped"}
            elif inbox.stop.is_set():
                if not inbox.checkpoint.is_set():
                    return {"how": "stopped"}
                command = "checkpoint"
            else:
                if not inbox.leaving.empty():
                    command = Leave(inbox.leaving.get())
                if time.monotonic() - sent_at > _SILENCE_SECONDS:
                    channel.send({"say": "alive"})
                    sent_at = time.monotonic()
            try:
                event = events.send(command)
            except StopIteration:
                return {"how": "finished"}


def _events(work: Message, resume: Path | None) -> Events:
    """The events of training the networks of these specs; a stack saves no checkpoints."""
    specs = [JobSpec.model_validate(spec) for spec in work["specs"]]
    table, workdir = Path(work["table"]), Path(work["workdir"])
    if len(specs) > 1:
        return train_stack(specs, table, workdir, together=True)
    return train(
        specs[0],
        table,
        workdir,
        resume=resume,
        checkpoint_seconds=work["checkpoint_seconds"],
        data_memory_bytes=work["data_memory_bytes"],
        arrival=_arrival(work["arrival"]),
    )


def _arrival(document: Message | None) -> Arrival | None:
    """The state of a table that is not complete yet, as the worker describes it."""
    if document is None:
        return None
    return Arrival(Path(document["columns"]), tuple(document["names"]), Path(document["wanted"]))


def _evaluate(channel: Channel, inbox: Inbox, work: Message) -> Message:
    """Evaluate a model on a table."""
    model, table = TrainedModel.load(Path(work["model"])), load(Path(work["table"]))
    spec = EvaluationSpec.model_validate(work["specs"][0])
    return _pass(channel, inbox, measure(model, table, spec.slices))


def _score(channel: Channel, inbox: Inbox, work: Message) -> Message:
    """Predict the rows of a table with a model."""
    model, table = TrainedModel.load(Path(work["model"])), load(Path(work["table"]))
    spec = ScoringSpec.model_validate(work["specs"][0])
    return _pass(channel, inbox, score(model, table, spec, Path(work["workdir"])))


def _pass(channel: Channel, inbox: Inbox, events: Iterator[Event]) -> Message:
    """Send events until they end or the work must stop."""
    for event in events:
        if inbox.stop.is_set():
            return {"how": "stopped"}
        channel.send({"say": "event", **Codec.encode(event)})
    return {"how": "finished"}


def _first(events: Events, resume: Path | None) -> Event | None:
    """The first event; an error before it, when training is resumed, is the checkpoint's."""
    try:
        return next(events)
    except InvalidError as error:
        if resume is None:
            raise
        raise BadCheckpointError(error.detail) from error


_WORKS = {"train": _train, "evaluate": _evaluate, "score": _score}
"""The function for each kind of work."""


def _explain(error: Exception) -> tuple[Message, bool]:
    """How the work failed, and whether this process can be used again.

    What the machine lacks comes first, whatever class it was raised as. An unexpected error comes
    with the end of its traceback.
    """
    lack = shortage(error)
    if lack is None and isinstance(error, TrainingError | InvalidError):
        return {"how": "failed", "kind": "user_error", "message": error.detail}, True
    if lack is None and isinstance(error, BadCheckpointError):
        return {"how": "failed", "kind": "bad_checkpoint", "message": str(error)}, True
    if lack is None:
        kind, message = "exception", f"{type(error).__name__}: {error}"
    else:
        kind, message = lack.value, str(error) or "no more memory"
    lines = "".join(traceback.format_exception(error))
    failure = {
        "how": "failed",
        "kind": kind,
        "message": message[:_MOST_TRACEBACK],
        "traceback": lines[-_MOST_TRACEBACK:],
    }
    return failure, False


def _reset_peak() -> None:
    """Reset the peak memory, so that it is that of the next work (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """The peak memory of this process since `_reset_peak`."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    usage: Any = resource.getrusage(resource.RUSAGE_SELF)
    return int(usage.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
