"""Identity."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Reach, Scope


@member
class Identity(Activation):
    """`y = x`. Use it where a configuration requires an activation."""

    kind: Literal["identity"] = "identity"
    reach: ClassVar[Reach] = "input"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        return x, lambda dy: dy
