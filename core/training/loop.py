"""The loop: training as a generator of events. Whoever pulls it controls it."""

import logging
import math
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from core.data.table.reader import Arrival
from core.errors import TrainingError
from core.events import TrainingFailed
from core.nn.array import Array
from core.nn.loss import occurrences
from core.spec import JobSpec
from core.training import checkpoint
from core.training.calibration import calibrate
from core.training.dataset.stream import posed
from core.training.diagnostics.insight import insights
from core.training.model import TrainedModel
from core.training.run import CheckpointPolicy, Events, Run
from core.training.trainer import Trainer

log = logging.getLogger(__name__)


def train(
    spec: JobSpec,
    table_path: Path,
    workdir: Path,
    *,
    resume: Path | None = None,
    checkpoint_seconds: float = 30.0,
    data_memory_bytes: int = 0,
    arrival: Arrival | None = None,
) -> Events:
    """Train what `spec` says on the dataset version stored at `table_path`.

    Yields events, and None now and then so that the caller can act; `send("checkpoint")` has one
    saved at once. Ends with TrainingEnded, whose `path` is a model that `TrainedModel.load` reads.
    Files are written into `workdir`. With `resume`, a checkpoint of the same spec and data, goes
    on from there as if it had never stopped. Raises InvalidError for data that cannot be used,
    TrainingError when the loss is no number any more. Closing the generator stops training.

    Features that take more than `data_memory_bytes` (0: there is no limit) are read from the disk
    while training goes on. Rows are then shuffled by windows, and the order depends on that number;
    a checkpoint knows the one it was taken with. `arrival`: the version is still on its way here.
    """
    snapshot = None if resume is None else checkpoint.read(resume)
    memory = data_memory_bytes if snapshot is None else checkpoint.data_memory_bytes(snapshot)
    run = _run([spec], table_path, workdir, checkpoint_seconds, memory, arrival, stacked=False)
    with closing(run):
        if snapshot is not None:
            run.resume(snapshot)
        events = run.events()
        command = None
        while True:
            try:
                event = events.send(command)
            except StopIteration:
                return
            if isinstance(event, TrainingFailed):
                raise TrainingError(event.detail)
            command = yield event


def train_stack(
    specs: Sequence[JobSpec], table_path: Path, workdir: Path, *, together: bool = False
) -> Events:
    """Train networks of one shape side by side on one dataset version; each as it would alone.

    The specs may differ in seeds, names and in numbers of optimizer, schedule and layers. Every
    event says which `network` it is about; `send(Leave(network))` takes one out, TrainingFailed
    tells of one whose loss is no number any more. `together`: steps and epochs of all are told in
    one StackReported each. Raises StackError when the specs do not fit
    together, InvalidError for data that cannot be used.
    """
    yield from _run(specs, table_path, workdir, None, stacked=True, together=together).events()


def _run(
    specs: Sequence[JobSpec],
    table_path: Path,
    workdir: Path,
    checkpoint_seconds: float | None,
    data_memory_bytes: int = 0,
    arrival: Arrival | None = None,
    *,
    stacked: bool,
    together: bool = False,
) -> Run:
    first = specs[0]
    problem, encoding = posed(first, table_path, data_memory_bytes, arrival)
    policy = None
    if checkpoint_seconds is not None:
        seconds = first.checkpoint.every_seconds or checkpoint_seconds
        policy = CheckpointPolicy(workdir, seconds, first.checkpoint.every_steps)

    @cache
    def counts() -> list[float]:
        outputs = math.prod(first.network.output(problem.shape))
        return occurrences(first.loss.target, problem.train.y, outputs)

    def save_model(number: int, weights: Array, state: Array) -> Path:
        spec = specs[number]
        loss = spec.loss.fitted(counts())
        model = TrainedModel(spec, encoding, problem.shape, weights, state, loss)
        held_out = problem.test or problem.valid
        model.calibration = calibrate(model.network, loss, held_out)
        path = workdir / (f"model-{number}.safetensors" if stacked else "model.safetensors")
        model.save(path, durable=False)  # the store's copy is what lasts
        return path

    def examine(trainer: Trainer) -> dict[str, Any]:
        try:
            return insights(trainer, encoding)
        except Exception as error:  # the model is trained: nothing said of it may cost it
            log.warning("no insights into the trained network: %s: %s", type(error).__name__, error)
            return {}

    return Run(
        specs, problem, save_model, policy, examine=examine, stacked=stacked, together=together
    )
