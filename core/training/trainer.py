"""The state of training: weights, optimizer, random state, position in the data; one step of it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.data.prepare.augmentation import augment
from core.data.prepare.features import StreamedFeatures
from core.data.prepare.shuffle_buffer import ShuffleBuffer
from core.data.split.permutation import permutation
from core.nn.array import Array, Shape, all_finite, namespace, to_host
from core.nn.layer import Scope
from core.nn.loss import occurrences
from core.nn.metric import Tally
from core.nn.network import BoundNetwork
from core.nn.optimizer import Updater
from core.nn.regularization import Averaging, Regularizer
from core.nn.schedule import Progress
from core.nn.schedules.constant import Constant
from core.nn.stack import StackError, stacked
from core.spec import TrainingSpec
from core.training.dataset_types import Dataset, Part
from core.training.step import TrainingStep
from core.training.update_metrics import UpdateMetrics

GATHER_BYTES = 64 * 2**20
"""The rows of an epoch are gathered at once when they take no more than this."""


class Trainer:
    """One network, or a stack of networks of one shape, in training on one dataset.

    `specs` may differ in seeds and in the numbers of optimizer, schedule and layers. Everything
    else must be equal (StackError). Without `stacked_axis` there is one network and no stack axis.
    """

    def __init__(
        self, specs: Sequence[TrainingSpec], dataset: Dataset, *, stacked_axis: bool = False
    ) -> None:
        self.specs = tuple(specs)
        self.dataset = dataset
        self.spec = spec = self.specs[0]
        self.stack: Shape = (len(specs),) if stacked_axis else ()
        self.xp = namespace(spec.device)
        self.network = BoundNetwork(
            stacked([s.network for s in specs]),
            dataset.shape,
            stack=self.stack,
            xp=self.xp,
            dtype=spec.precision,
        )
        self.network.initialize([s.seed for s in specs])
        self.optimizer = stacked([s.optimizer for s in specs])
        self.schedule = stacked([s.schedule for s in specs])
        outputs = math.prod(self.network.output_shape)
        counts = occurrences(spec.loss.target, dataset.train.y, outputs)
        self._constant_rate = isinstance(self.schedule, Constant)
        self.loss = stacked([s.loss.fitted(counts) for s in specs])
        self.updater = Updater(self.optimizer, self.xp, self.network.weights)
        self.scope = Scope(
            self.xp, self.network.dtype, self.stack, self.network.output_shape, training=True
        )
        self.regularizer = Regularizer(stacked([s.regularization for s in specs]), self.network)
        self.averaging: Averaging | None = None
        if spec.averaging is not None:
            self.averaging = Averaging(self.network.weights, self.xp, spec.averaging)
        rows = len(dataset.train)
        self.batch_size = rows if spec.batch_size == "full" else min(spec.batch_size, rows)
        self.batches = math.ceil(rows / self.batch_size)
        self.steps_an_epoch = math.ceil(self.batches / spec.accumulate)
        self.steps_total = self.steps_an_epoch * spec.epochs
        self.epoch = 0
        self.batch = 0
        self.losses: tuple[Any, ...] = ()
        self._buffer = self._shuffle_buffer(dataset)
        self.train = self._on_device(dataset.train)
        self.valid = None if dataset.valid is None else self._on_device(dataset.valid)
        self.test = None if dataset.test is None else self._on_device(dataset.test)
        self._batches: list[Part] = []
        self._order: Array | None = None
        self._accumulated = (
            self.xp.zeros_like(self.network.gradients) if spec.accumulate > 1 else None
        )
        self._compute = TrainingStep(self.network, self.loss, self.scope)
        self.update_metrics: dict[str, Array] = {}
        self.failed = np.zeros(len(self.specs), bool)
        self.failed_step = 0
        self.reset_sums()

    @property
    def step(self) -> int:
        """The number of optimizer updates so far."""
        return self.updater.step

    @property
    def replays(self) -> bool:
        """Whether batches are replayed from a tape by now."""
        return self._compute.replays

    @property
    def averaged(self) -> Array | None:
        """The moving average of the weights, or None without averaging."""
        return None if self.averaging is None else self.averaging.values

    def reset_sums(self) -> None:
        """Start the sums of an epoch at zero."""
        self.loss_sum = self.xp.zeros(self.stack, np.float64)
        self.weight_sum = self.xp.zeros(self.stack, np.float64)
        self.tallies = [Tally(metric, self.xp, self.stack) for metric in self.spec.metrics]

    def advance(self, *, measured: bool = False) -> Array:
        """Train on the next batch and return its loss, shape `stack`.

        The weights are updated after every `accumulate` batches and at the end of the epoch. With
        `measured`, `update_metrics` then describes the update. Networks whose loss became NaN or
        infinite are marked in `failed`; when all are, no weight changes.
        """
        self.update_metrics = {}
        batch = self.current_batch()
        with np.errstate(all="ignore"):
            y, loss = self._compute(batch)
            if not all_finite(self.xp, loss):
                self.failed_step = self.step + 1
                self.failed |= ~np.atleast_1d(to_host(self.xp.isfinite(loss)))
                if self.failed.all():
                    return loss
            self._add_to_sums(y, batch, loss)
            self.batch += 1
            self._update(measured=measured)
        return loss

    def progress(self) -> Progress:
        """How far training has come, for the schedule."""
        return Progress(
            step=self.step,
            epoch=self.epoch,
            steps_total=self.steps_total,
            epochs_total=self.spec.epochs,
            losses=self.losses,
        )

    def end_epoch(self) -> dict[str, Array]:
        """The training metrics of the epoch, each of shape `stack`. Prepares for the next epoch."""
        mean = self.loss.averages
        metrics = {"loss": self.loss_sum / self.weight_sum if mean else self.loss_sum}
        for tally in self.tallies:
            metrics.update(tally.numbers())
        self.epoch += 1
        self.batch = 0
        self._order = None
        self._batches = []
        self.reset_sums()
        return metrics

    def snapshot(self) -> Array:
        """A copy of the final weights followed by the state of the layers."""
        weights = self.network.weights if self.averaged is None else self.averaged
        joined: Array = self.xp.concatenate([weights, self.network.state], axis=-1)
        return joined

    def adopt(self, snapshot: Array | None) -> None:
        """Load a snapshot into the network; without one, the last weights, averaged if they are."""
        if snapshot is None:
            snapshot = self.snapshot()
        size = self.network.weights.shape[-1]
        self.network.weights[...] = snapshot[..., :size]
        self.network.state[...] = snapshot[..., size:]

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Use the weights that training would end with: the averaged ones, if there are."""
        if self.averaged is None:
            yield
            return
        current = self.network.weights.copy()
        self.network.weights[...] = self.averaged
        yield
        self.network.weights[...] = current

    def generator_states(self) -> list[dict[str, Any]]:
        """The state of the random generator of each network."""
        return [dict(generator.bit_generator.state) for generator in self.network.generators]

    def restore_generators(self, states: list[dict[str, Any]]) -> None:
        """Restore what `generator_states` returned."""
        for generator, state in zip(self.network.generators, states, strict=True):
            generator.bit_generator.state = state

    def _add_to_sums(self, y: Array, batch: Part, loss: Array) -> None:
        """Add a batch to the metrics of the epoch."""
        count = batch.x.shape[len(self.stack)]
        mass = count if batch.weight is None else batch.weight.sum(axis=-1)
        # Not in place: the sum of a single network becomes a NumPy scalar, which is faster.
        self.loss_sum = self.loss_sum + (loss * mass if self.loss.averages else loss)
        self.weight_sum = self.weight_sum + mass
        if not self.tallies:
            return
        weight = batch.weight
        if weight is None:
            weight = self.xp.ones((*self.stack, count), self.network.dtype)
        outputs = self.train.in_units(self.loss.prediction(y, self.scope))
        truth = self.train.in_units(self.loss.observed(batch.y))
        for tally in self.tallies:
            tally.add(outputs, truth, weight)

    def _update(self, *, measured: bool) -> None:
        """Update the weights, once enough batches have been accumulated."""
        gradients = self._accumulate()
        if gradients is None:
            return
        rate = self.optimizer.learning_rate
        if not self._constant_rate:
            rate = rate * self.schedule.factor(self.progress())
        metrics = UpdateMetrics(self.xp, self.network.weights, gradients) if measured else None
        if not self.regularizer.active:
            self.updater.update(gradients, rate)
        else:
            self.regularizer.before(rate)
            self.updater.update(gradients, rate)
            self.regularizer.after()
        if self.averaging is not None:
            self.averaging.update()
        if metrics is not None:
            self.update_metrics = metrics.after(rate)

    def _accumulate(self) -> Array | None:
        """The gradients of the next update, or None while batches are being accumulated."""
        if self._accumulated is None:
            return self.network.gradients
        self._accumulated += self.network.gradients
        count = (self.batch - 1) % self.spec.accumulate + 1
        if count < self.spec.accumulate and self.batch < self.batches:
            return None
        self.xp.multiply(self._accumulated, 1.0 / count, out=self.network.gradients)
        self._accumulated[...] = 0
        return self.network.gradients

    @property
    def accumulated(self) -> Array | None:
        """The gradients accumulated since the last update, or None if every batch updates."""
        return self._accumulated

    def _on_device(self, part: Part) -> Part:
        y = part.y
        if self.spec.loss.target != "class":
            y = y.reshape(len(y), *self.network.output_shape)
        weight = None if part.weight is None else self.xp.asarray(part.weight)
        x = part.x if isinstance(part.x, StreamedFeatures) else self.xp.asarray(part.x)
        standardizer = part.standardizer
        if standardizer is not None:
            standardizer = standardizer.on(self.xp)
        return Part(x, self.xp.asarray(y), weight, standardizer=standardizer)

    def _shuffle_buffer(self, dataset: Dataset) -> ShuffleBuffer | None:
        """The shuffle buffer of rows that are read from the disk; None for rows in memory."""
        if dataset.memory_bytes is None or not isinstance(dataset.train.x, StreamedFeatures):
            return None
        if self.stack:
            raise StackError("rows that do not fit into memory train one network at a time")
        return ShuffleBuffer(
            dataset.train.x,
            self.batch_size,
            dataset.buffer_bytes,
            seed=self.spec.seed,
            shuffled=self.spec.order == "shuffle",
            epochs=self.spec.epochs,
        )

    def close(self) -> None:
        """Stop reading rows ahead."""
        if self._buffer is not None:
            self._buffer.close()

    def current_batch(self) -> Part:
        """The rows of the next batch, `(*stack, batch, ...)`, augmented if the dataset says so."""
        batch = self._read_batch()
        return self._augment(batch) if self.dataset.augment else batch

    def _augment(self, batch: Part) -> Part:
        """The batch with random changes of its own for each network and epoch."""
        x, how = to_host(batch.x), self.dataset.augment
        position = self.epoch, self.batch
        if self.stack:
            pairs = zip(self.specs, x, strict=True)
            x = np.stack([augment(how, rows, spec.seed, *position) for spec, rows in pairs])
        else:
            x = augment(how, x, self.spec.seed, *position)
        return Part(self.xp.asarray(x), batch.y, batch.weight)

    def _read_batch(self) -> Part:
        if self._buffer is not None:
            x, positions = self._buffer.batch(self.epoch, self.batch)
            weight = None if self.train.weight is None else self.train.weight[positions]
            return Part(self.xp.asarray(x), self.train.y[positions], weight)
        if self._order is None:
            self._arrange()
        if self._batches:
            return self._batches[self.batch]
        assert self._order is not None
        return _rows(self.train, self._order[self._range(self.batch)])

    def _range(self, batch: int) -> Any:
        """The index of a batch in an epoch's rows."""
        start = batch * self.batch_size
        rows = slice(start, min(start + self.batch_size, len(self.train)))
        return (*(slice(None) for _ in self.stack), rows)

    def _arrange(self) -> None:
        """Put the rows of the epoch in the order that depends on seed and epoch."""
        rows = len(self.train)
        if self.spec.order == "sequential":
            orders = [np.arange(rows)] * len(self.specs)
        else:
            orders = [permutation(rows, spec.seed, "order", self.epoch) for spec in self.specs]
        self._order = self.xp.asarray(np.stack(orders).reshape(*self.stack, rows))
        assert not isinstance(self.train.x, StreamedFeatures)
        size = self.train.x.nbytes + self.train.y.nbytes  # targets may be images
        if size * len(self.specs) <= GATHER_BYTES:
            gathered = _rows(self.train, self._order)
            self._batches = [_rows(gathered, self._range(batch)) for batch in range(self.batches)]


def _rows(part: Part, index: Any) -> Part:
    weight = None if part.weight is None else part.weight[index]
    return Part(part.x[index], part.y[index], weight)
