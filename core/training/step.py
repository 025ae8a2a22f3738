"""Forward pass, loss and backpropagation of a batch, executed or replayed from a tape."""

from collections.abc import Callable
from typing import Any

import numpy as np

from core.nn.array import Array
from core.nn.compile.fusion import Fusion
from core.nn.compile.tape import NAMESPACE, Tape, plain, recorded
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork
from core.training.dataset_types import Part

SMALL = 8_000_000
"""The product of weights and rows of a batch below which Python overhead dominates."""

WARM_UP, COMPARISONS = 8, 2
"""Batches that are executed before recording, and batches on which a tape is verified."""


class TrainingStep:
    """Computes outputs and loss of a batch and leaves the gradients in the network.

    For small networks without state and randomness, the array calls of a batch are recorded and
    replayed from then on. Before a tape is used, its outputs, losses and gradients are compared
    with those of the executed code on other batches, bit for bit.
    """

    def __init__(self, network: BoundNetwork, loss: Loss, scope: Scope) -> None:
        self._network = network
        self._loss = loss
        self._scope = scope
        self._replay: _Replay | None = None
        self._batches = 0
        self._records = network.xp is np and network.state.size == 0

    @property
    def replays(self) -> bool:
        """Whether batches are replayed from a verified tape."""
        return self._replay is not None and self._replay.verified

    def __call__(self, batch: Part) -> tuple[Array, Array]:
        """Outputs `(*stack, batch, ...)`, in a reused buffer, and the loss of shape `stack`."""
        if self._replay is not None and self._replay.fits(batch):
            if not self._replay.verified:
                return self._verify(self._replay, batch)
            self._replay.fuse()
            return self._replay.play(batch)
        if self._records:
            self._batches += 1
            if self._batches > WARM_UP:
                self._record(batch)
        return self._execute(batch.x, batch.y, batch.weight)

    def _execute(self, x: Array, target: Array, weight: Array | None) -> tuple[Array, Array]:
        y, backprop = self._network.forward(x, training=True)
        loss, dy = self._loss.forward(y, target, self._scope, weight)
        backprop(dy)
        return y, loss

    def _record(self, batch: Part) -> None:
        self._records = False
        rows = batch.x.shape[len(self._network.stack)]
        if batch.weight is not None or self._network.weights.size * rows > SMALL:
            return
        before = self._generator_states()
        scopes = [self._scope, *self._network.all_scopes()]
        for scope in scopes:
            scope.xp = NAMESPACE
        try:
            replay = _Replay(batch, lambda x, y: self._execute(x, y, None))
        finally:
            for scope in scopes:
                scope.xp = self._network.xp
        if self._generator_states() != before:  # random numbers must be drawn anew
            for generator, state in zip(self._network.generators, before, strict=True):
                generator.bit_generator.state = state
        elif replay.tape.sound:
            self._replay = replay

    def _generator_states(self) -> list[dict[str, Any]]:
        return [dict(generator.bit_generator.state) for generator in self._network.generators]

    def _verify(self, replay: "_Replay", batch: Part) -> tuple[Array, Array]:
        """Replay and execute a batch; a tape with different results is discarded."""
        replayed = [np.array(a) for a in (*replay.play(batch), self._network.gradients)]
        y, loss = self._execute(batch.x, batch.y, None)
        executed = y, loss, self._network.gradients
        replay.comparisons += 1
        if not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(replayed, executed, strict=True)
        ):
            self._replay = None
        return y, loss


class _Replay:
    """A tape for batches of one shape, with the memory of its inputs."""

    def __init__(self, batch: Part, compute: Callable[[Array, Array], tuple[Array, Array]]) -> None:
        self.comparisons = 0
        self.tape = Tape()
        self._x, self._y = np.array(batch.x), np.array(batch.y)
        with self.tape:
            outputs, loss = compute(recorded(self._x), recorded(self._y))
        self._results: tuple[Any, Any] = plain(outputs), plain(loss)
        self._fusing = Fusion(self.tape.calls)
        self._fused = False

    @property
    def verified(self) -> bool:
        """Whether its results were equal to those of the code often enough."""
        return self.comparisons >= COMPARISONS

    def fits(self, batch: Part) -> bool:
        """Whether the batch can be replayed."""
        return batch.weight is None and batch.x.shape == self._x.shape

    def fuse(self) -> None:
        """Fuse calls as soon as that pays; the tape is then verified again."""
        if not self._fused and self._fusing.pays():
            self.tape.calls = self._fusing.calls()
            self._fused = True
            self.comparisons = 0

    def play(self, batch: Part) -> tuple[Array, Array]:
        """Outputs and loss of the batch."""
        self._x[...] = batch.x
        self._y[...] = batch.y
        self.tape.play()
        outputs, loss = self._results
        return outputs, loss[()]
