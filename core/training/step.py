"""Forward pass, error and backpropagation for a batch: by the code, or from a tape of its calls."""

from collections.abc import Callable
from typing import Any

import numpy as np

from core.nn.array import Array
from core.nn.compile.fusion import Fusion
from core.nn.compile.tape import NAMESPACE, Tape, plain, recorded
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork
from core.training.dataset.types import Part

SMALL = 8_000_000
"""Products of weights and rows in a batch below which the code around the calls costs most."""

WARM, TRIALS = 8, 2
"""Batches of one size computed by the code before recording, and compared after it."""


class Computation:
    """Computes outputs and loss of a batch and leaves the gradients in the network.

    For small networks without a memory or chance of their own the array calls of a batch are
    recorded and played from then on. Before a tape is trusted, its outputs, losses and gradients
    are compared with the code's on other batches, bit for bit.
    """

    def __init__(self, network: BoundNetwork, loss: Loss, scope: Scope) -> None:
        self._network = network
        self._loss = loss
        self._scope = scope
        self._player: _Player | None = None
        self._seen = 0
        self._tries = network.xp is np and network.state.size == 0

    @property
    def plays(self) -> bool:
        """Whether a tape is trusted by now."""
        return self._player is not None and self._player.trusted

    def __call__(self, part: Part) -> tuple[Array, Array]:
        """Outputs `(*stack, batch, ...)`, in a buffer that is used again, and loss of `stack`."""
        if self._player is not None and self._player.fits(part):
            if not self._player.trusted:
                return self._compare(self._player, part)
            self._player.improve()
            return self._player.play(part)
        if self._tries:
            self._seen += 1
            if self._seen > WARM:
                self._record(part)
        return self._by_code(part.x, part.y, part.weight)

    def _by_code(self, x: Array, target: Array, weight: Array | None) -> tuple[Array, Array]:
        y, backprop = self._network.forward(x, training=True)
        loss, dy = self._loss.forward(y, target, self._scope, weight)
        backprop(dy)
        return y, loss

    def _record(self, part: Part) -> None:
        self._tries = False
        rows = part.x.shape[len(self._network.stack)]
        if part.weight is not None or self._network.weights.size * rows > SMALL:
            return
        before = self._chance()
        scopes = [self._scope, *self._network.all_scopes()]
        for scope in scopes:
            scope.xp = NAMESPACE
        try:
            player = _Player(part, lambda x, y: self._by_code(x, y, None))
        finally:
            for scope in scopes:
                scope.xp = self._network.xp
        if self._chance() != before:  # chance cannot be played: it must be drawn anew
            for generator, state in zip(self._network.generators, before, strict=True):
                generator.bit_generator.state = state
        elif player.tape.sound:
            self._player = player

    def _chance(self) -> list[dict[str, Any]]:
        return [dict(generator.bit_generator.state) for generator in self._network.generators]

    def _compare(self, player: "_Player", part: Part) -> tuple[Array, Array]:
        """Play, then compute by the code; a tape that differs is thrown away."""
        played = [np.array(one) for one in (*player.play(part), self._network.gradients)]
        y, loss = self._by_code(part.x, part.y, None)
        same = all(
            np.array_equal(one, other, equal_nan=True)
            for one, other in zip(played, (y, loss, self._network.gradients), strict=True)
        )
        player.agreed += 1
        if not same:
            self._player = None
        return y, loss


class _Player:
    """A tape for batches of one shape, with the memory its inputs are put into."""

    def __init__(self, part: Part, compute: Callable[[Array, Array], tuple[Array, Array]]) -> None:
        self.agreed = 0
        self.tape = Tape()
        self._x, self._y = np.array(part.x), np.array(part.y)
        with self.tape:
            outputs, loss = compute(recorded(self._x), recorded(self._y))
        self._results: tuple[Any, Any] = plain(outputs), plain(loss)
        self._fusing = Fusion(self.tape.calls)
        self._fused = False

    @property
    def trusted(self) -> bool:
        """Whether it agreed with the code often enough."""
        return self.agreed >= TRIALS

    def fits(self, part: Part) -> bool:
        """Whether the batch is one it can play."""
        return part.weight is None and part.x.shape == self._x.shape

    def improve(self) -> None:
        """Fuse calls as soon as that pays; the tape has to earn its trust again."""
        if not self._fused and self._fusing.pays():
            self.tape.calls = self._fusing.calls()
            self._fused = True
            self.agreed = 0

    def play(self, part: Part) -> tuple[Array, Array]:
        """Outputs and loss of the batch."""
        self._x[...] = part.x
        self._y[...] = part.y
        self.tape.play()
        outputs, loss = self._results
        return outputs, loss[()]
