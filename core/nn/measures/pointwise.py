"""Base classes of losses that compare each output with its own target."""

from abc import abstractmethod
from typing import ClassVar

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import Loss, Target, shares


class PointwiseLoss(Loss):
    """A function of one output and its target, averaged over samples and outputs.

    Losses that do not `average_outputs` sum over outputs. `value_factor` and `gradient_factor`
    multiply the two results of `compare`.
    """

    target: ClassVar[Target] = "number"
    average_outputs: ClassVar[bool] = True
    value_factor: ClassVar[float] = 1.0
    gradient_factor: ClassVar[float] = 1.0
    EXAMPLES: ClassVar[Examples] = (({}, (1,)), ({}, (2, 3)))

    @abstractmethod
    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        """Return the loss of each output and its derivative, both shaped like `y`.

        The derivative may be overwritten by the caller.
        """

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        each, dy = self.compare(y, target, scope)
        axes, batch = len(scope.stack), y.shape[len(scope.stack)]
        outputs = y[(0,) * (axes + 1)].size if self.average_outputs else 1
        if sample_weight is None:
            count = outputs * batch if self.averages else outputs
            dy *= self.gradient_factor / count
            total = each.reshape(*scope.stack, -1).sum(axis=-1)
            return total * (self.value_factor / count), dy
        share = sample_weight.astype(y.dtype, copy=False)
        if self.averages:
            share = shares(share, y.dtype)
        dy *= self.gradient_factor / outputs
        dy *= share.reshape(*share.shape, *(1,) * (y.ndim - axes - 1))
        sample = each.reshape(*scope.stack, batch, -1).sum(axis=-1)
        sample *= share
        return sample.sum(axis=-1) * (self.value_factor / outputs), dy


@member
class SquaredLoss(PointwiseLoss):
    """`(y - t)^2`, gradient `y - t`, each times its factor."""

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        return xp.multiply(dy, dy, out=scope.buffer("each", y.shape)), dy
