"""The loop: training as a generator of events, controlled by its caller."""

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
from core.training.calibration.intervals import calibrate
from core.training.dataset import load
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
    """Train a network as `spec` says on the dataset version stored at `table_path`.

    Yields events, and None now and then so that the caller can act. `send("checkpoint")` saves a
    checkpoint at once. The last event is TrainingEnded, whose `path` is a model that
    `TrainedModel.load` reads. Files are written into `workdir`. With `resume`, a checkpoint of the
    same spec and data, training continues as if it had never stopped. Raises InvalidError for data
    that cannot be used, TrainingError when the loss becomes NaN or infinite. Closing the generator
    stops training.

    Features that need more than `data_memory_bytes` (0: no limit) are read from the disk during
    training. Rows then pass through a shuffle buffer, and their order depends on that number; a
    checkpoint records it. With `arrival` the version is still being copied to this machine.
    """
    snapshot = None if resume is None else checkpoint.read(resume)
    memory = data_memory_bytes if snapshot is None else checkpoint.data_memory_bytes(snapshot)
    seconds = spec.checkpoint.every_seconds or checkpoint_seconds
    policy = CheckpointPolicy(workdir, seconds, spec.checkpoint.every_steps)
    run = _run([spec], table_path, workdir, memory, arrival, policy=policy)
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
    """Train networks of one shape as a stack on one dataset version, each as it would alone.

    The specs may differ in seeds, names and in numbers of optimizer, schedule and layers. Every
    event says which `network` it is about. `send(Leave(network))` removes one, and TrainingFailed
    reports one whose loss became NaN or infinite. With `together`, steps and epochs of all networks
    are reported in one StackReported each. Raises StackError when the specs differ in more,
    InvalidError for data that cannot be used.
    """
    yield from _run(specs, table_path, workdir, stacked=True, together=together).events()


def _run(
    specs: Sequence[JobSpec],
    table_path: Path,
    workdir: Path,
    data_memory_bytes: int = 0,
    arrival: Arrival | None = None,
    *,
    policy: CheckpointPolicy | None = None,
    stacked: bool = False,
    together: bool = False,
) -> Run:
    first = specs[0]
    dataset, encoding = load(first, table_path, data_memory_bytes, arrival)

    @cache
    def counts() -> list[float]:
        outputs = math.prod(first.network.output(dataset.shape))
        return occurrences(first.loss.target, dataset.train.y, outputs)

    def save_model(number: int, weights: Array, state: Array) -> Path:
        spec = specs[number]
        loss = spec.loss.fitted(counts())
        model = TrainedModel(spec, encoding, dataset.shape, weights, state, loss)
        model.calibration = calibrate(model.network, loss, dataset.test or dataset.valid)
        path = workdir / (f"model-{number}.safetensors" if stacked else "model.safetensors")
        model.save(path, durable=False)  # the copy in the store is the durable one
        return path

    def examine(trainer: Trainer) -> dict[str, Any]:
        try:
            return insights(trainer, encoding)
        except Exception as error:  # insights must not fail a trained model
            log.warning("no insights into the trained network: %s: %s", type(error).__name__, error)
            return {}

    trainer = Trainer(specs, dataset, stacked_axis=stacked)
    return Run(trainer, save_model, policy, examine=examine, together=together)
