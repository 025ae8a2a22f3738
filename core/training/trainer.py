"""The state of training: weights, optimizer, chance and where in the data it is; one step of it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.data.prepare.augmentation import augment
from core.data.prepare.lazy_features import Prepared
from core.data.prepare.shuffle_buffer import Windows
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
from core.training.dataset.types import Part, Problem
from core.training.step import Computation
from core.training.update_metrics import Gauge

GATHER_BYTES = 64 * 2**20
"""An epoch's rows are put in order at once when they take less than this."""


class Trainer:
    """One network, or a stack of networks of one shape, in training on one problem.

    `specs` may differ in seeds and in the numbers of optimizer, schedule and layers; everything
    else must be equal (StackError). Without `stacked_axis` there is one network and no stack axis.
    """

    def __init__(
        self, specs: Sequence[TrainingSpec], problem: Problem, *, stacked_axis: bool = False
    ) -> None:
        self.specs = tuple(specs)
        self.problem = problem
        self.spec = spec = self.specs[0]
        self.stack: Shape = (len(specs),) if stacked_axis else ()
        self.xp = namespace(spec.device)
        self.network = BoundNetwork(
            stacked([s.network for s in specs]),
            problem.shape,
            stack=self.stack,
            xp=self.xp,
            dtype=spec.precision,
        )
        self.network.initialize([s.seed for s in specs])
        self.optimizer = stacked([s.optimizer for s in specs])
        self.schedule = stacked([s.schedule for s in specs])
        outputs = math.prod(self.network.output_shape)
        counts = occurrences(spec.loss.target, problem.train.y, outputs)
        self._steady = isinstance(self.schedule, Constant)
        self.loss = stacked([s.loss.fitted(counts) for s in specs])
        self.updater = Updater(self.optimizer, self.xp, self.network.weights)
        self.scope = Scope(
            self.xp, self.network.dtype, self.stack, self.network.output_shape, training=True
        )
        self.regularizer = Regularizer(stacked([s.regularization for s in specs]), self.network)
        self.averaging: Averaging | None = None
        if spec.averaging is not None:
            self.averaging = Averaging(self.network.weights, self.xp, spec.averaging)
        rows = len(problem.train)
        self.batch_size = rows if spec.batch_size == "full" else min(spec.batch_size, rows)
        self.batches = math.ceil(rows / self.batch_size)
        self.steps_an_epoch = math.ceil(self.batches / spec.accumulate)
        self.steps_total = self.steps_an_epoch * spec.epochs
        self.epoch = 0
        self.batch = 0
        self.losses: tuple[Any, ...] = ()
        self._windows = self._streamed(problem)
        self.train = self._on_device(problem.train)
        self.valid = None if problem.valid is None else self._on_device(problem.valid)
        self.test = None if problem.test is None else self._on_device(problem.test)
        self._parts: list[Part] = []
        self._order: Array | None = None
        self._accumulated = (
            self.xp.zeros_like(self.network.gradients) if spec.accumulate > 1 else None
        )
        self._compute = Computation(self.network, self.loss, self.scope)
        self.gauges: dict[str, Array] = {}
        self.failed = np.zeros(len(self.specs), bool)
        self.failed_step = 0
        self.reset_sums()

    @property
    def step(self) -> int:
        """Optimizer updates so far."""
        return self.updater.step

    @property
    def plays(self) -> bool:
        """Whether batches are played from a tape by now."""
        return self._compute.plays

    @property
    def averaged(self) -> Array | None:
        """The moving average of the weights, or None if none is kept."""
        return None if self.averaging is None else self.averaging.values

    def reset_sums(self) -> None:
        """Forget what was measured in this epoch."""
        self.loss_sum = self.xp.zeros(self.stack, np.float64)
        self.weight_sum = self.xp.zeros(self.stack, np.float64)
        self.tallies = [Tally(metric, self.xp, self.stack) for metric in self.spec.metrics]

    def advance(self, *, gauged: bool = False) -> Array:
        """Train on the next batch and return its loss, shape `stack`.

        The weights move after every `accumulate` batches and at the end of the epoch; if they do
        and it is `gauged`, `gauges` then tell of the move. Networks whose loss is no number are
        marked in `failed`; when all of them are, nothing moves.
        """
        self.gauges = {}
        part = self.current_rows()
        with np.errstate(all="ignore"):
            y, loss = self._compute(part)
            if not all_finite(self.xp, loss):
                self.failed_step = self.step + 1
                self.failed |= ~np.atleast_1d(to_host(self.xp.isfinite(loss)))
                if self.failed.all():
                    return loss
            self._note(y, part, loss)
            self.batch += 1
            self._move(gauged)
        return loss

    def progress(self) -> Progress:
        """How far training is, for the schedule."""
        return Progress(
            step=self.step,
            epoch=self.epoch,
            steps_total=self.steps_total,
            epochs_total=self.spec.epochs,
            losses=self.losses,
        )

    def end_epoch(self) -> dict[str, Array]:
        """The training metrics of the epoch, each of shape `stack`; the next epoch may begin."""
        mean = self.loss.averages
        metrics = {"loss": self.loss_sum / self.weight_sum if mean else self.loss_sum}
        for tally in self.tallies:
            metrics.update(tally.numbers())
        self.epoch += 1
        self.batch = 0
        self._order = None
        self._parts = []
        self.reset_sums()
        return metrics

    def snapshot(self) -> Array:
        """A copy of the weights to end with and of the remembered state, one after the other."""
        weights = self.network.weights if self.averaged is None else self.averaged
        together: Array = self.xp.concatenate([weights, self.network.state], axis=-1)
        return together

    def adopt(self, snapshot: Array | None) -> None:
        """Make these the weights of the network; without one, the (averaged) last ones."""
        if snapshot is None:
            snapshot = self.snapshot()
        size = self.network.weights.shape[-1]
        self.network.weights[...] = snapshot[..., :size]
        self.network.state[...] = snapshot[..., size:]

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Look at the network with the weights it would end with: the averaged ones, if any."""
        if self.averaged is None:
            yield
            return
        kept = self.network.weights.copy()
        self.network.weights[...] = self.averaged
        yield
        self.network.weights[...] = kept

    def generator_states(self) -> list[dict[str, Any]]:
        """The state of chance of each network."""
        return [dict(generator.bit_generator.state) for generator in self.network.generators]

    def restore_chance(self, states: list[dict[str, Any]]) -> None:
        """Put the chance of each network where `generator_states` found it."""
        for generator, state in zip(self.network.generators, states, strict=True):
            generator.bit_generator.state = state

    def _note(self, y: Array, part: Part, loss: Array) -> None:
        """Add a batch to what the epoch reports."""
        count = part.x.shape[len(self.stack)]
        mass = count if part.weight is None else part.weight.sum(axis=-1)
        # Anew, not in place: a sum of a single network becomes a number, which is quicker.
        self.loss_sum = self.loss_sum + (loss * mass if self.loss.averages else loss)
        self.weight_sum = self.weight_sum + mass
        if not self.tallies:
            return
        weight = part.weight
        if weight is None:
            weight = self.xp.ones((*self.stack, count), self.network.dtype)
        outputs = self.loss.prediction(y, self.scope)
        truth = self.loss.observed(part.y)
        for tally in self.tallies:
            tally.add(outputs, truth, weight)

    def _move(self, gauged: bool) -> None:
        """Update the weights, if enough batches were gathered."""
        gradients = self._accumulate()
        if gradients is None:
            return
        rate = self.optimizer.learning_rate
        if not self._steady:
            rate = rate * self.schedule.factor(self.progress())
        gauge = Gauge(self.xp, self.network.weights, gradients) if gauged else None
        if not self.regularizer.active:
            self.updater.update(gradients, rate)
        else:
            self.regularizer.before(rate)
            self.updater.update(gradients, rate)
            self.regularizer.after()
        if self.averaging is not None:
            self.averaging.update()
        if gauge is not None:
            self.gauges = gauge.metrics(rate)

    def _accumulate(self) -> Array | None:
        """The gradients to move by now, or None while batches are still being gathered."""
        if self._accumulated is None:
            return self.network.gradients
        self._accumulated += self.network.gradients
        gathered = (self.batch - 1) % self.spec.accumulate + 1
        if gathered < self.spec.accumulate and self.batch < self.batches:
            return None
        self.xp.multiply(self._accumulated, 1.0 / gathered, out=self.network.gradients)
        self._accumulated[...] = 0
        return self.network.gradients

    @property
    def accumulated(self) -> Array | None:
        """Gradients gathered since the last update, or None if every batch updates."""
        return self._accumulated

    def _on_device(self, part: Part) -> Part:
        y = part.y
        if self.spec.loss.target != "class":
            y = y.reshape(len(y), *self.network.output_shape)
        weight = None if part.weight is None else self.xp.asarray(part.weight)
        x = part.x if isinstance(part.x, Prepared) else self.xp.asarray(part.x)
        return Part(x, self.xp.asarray(y), weight)

    def _streamed(self, problem: Problem) -> Windows | None:
        """The windows of rows that are read from the disk; None for rows in memory."""
        if problem.memory_bytes is None or not isinstance(problem.train.x, Prepared):
            return None
        if self.stack:
            raise StackError("rows that do not fit into memory are for one network at a time")
        return Windows(
            problem.train.x,
            self.batch_size,
            problem.window_bytes,
            seed=self.spec.seed,
            shuffled=self.spec.order == "shuffle",
            epochs=self.spec.epochs,
        )

    def close(self) -> None:
        """Read no more rows ahead."""
        if self._windows is not None:
            self._windows.close()

    def current_rows(self) -> Part:
        """The rows of the coming batch, `(*stack, batch, ...)`, augmented if that is asked for."""
        part = self._next_rows()
        return self._augmented(part) if self.problem.augment else part

    def _augmented(self, part: Part) -> Part:
        """The batch as each network sees it in this epoch, by chance of its own."""
        x, how = to_host(part.x), self.problem.augment
        at = self.epoch, self.batch
        if self.stack:
            each = zip(self.specs, x, strict=True)
            x = np.stack([augment(how, rows, spec.seed, *at) for spec, rows in each])
        else:
            x = augment(how, x, self.spec.seed, *at)
        return Part(self.xp.asarray(x), part.y, part.weight)

    def _next_rows(self) -> Part:
        if self._windows is not None:
            x, places = self._windows.batch(self.epoch, self.batch)
            weight = None if self.train.weight is None else self.train.weight[places]
            return Part(self.xp.asarray(x), self.train.y[places], weight)
        if self._order is None:
            self._arrange()
        if self._parts:
            return self._parts[self.batch]
        assert self._order is not None
        return _rows(self.train, self._order[self._range(self.batch)])

    def _range(self, batch: int) -> Any:
        """The index of a batch in an epoch's rows."""
        start = batch * self.batch_size
        rows = slice(start, min(start + self.batch_size, len(self.train)))
        return (*(slice(None) for _ in self.stack), rows)

    def _arrange(self) -> None:
        """Put the rows of the epoch in the order that seed and epoch give."""
        rows = len(self.train)
        if self.spec.order == "sequential":
            orders = [np.arange(rows)] * len(self.specs)
        else:
            orders = [permutation(rows, spec.seed, "order", self.epoch) for spec in self.specs]
        self._order = self.xp.asarray(np.stack(orders).reshape(*self.stack, rows))
        assert not isinstance(self.train.x, Prepared)
        size = self.train.x.nbytes + self.train.y.nbytes  # images may be what comes out
        if size * len(self.specs) <= GATHER_BYTES:
            gathered = _rows(self.train, self._order)
            self._parts = [_rows(gathered, self._range(batch)) for batch in range(self.batches)]


def _rows(part: Part, index: Any) -> Part:
    weight = None if part.weight is None else part.weight[index]
    return Part(part.x[index], part.y[index], weight)
