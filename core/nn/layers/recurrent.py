"""Simple recurrent layer."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.ops.recurrence import Recurrent, Unroll, transposed


@member
class SimpleRecurrent(Recurrent):
    """`h_t = tanh(x_t W + h_(t-1) U + b)`, `h_0 = 0`. Elman, "Finding Structure in Time" (1990)."""

    kind: Literal["recurrent"] = "recurrent"
    gates: ClassVar[int] = 1

    def unroll(self, gates: Array, states: Array, scope: Scope) -> Unroll:
        xp = scope.xp
        recurrent = scope.weights["recurrent"]
        across = transposed("across", recurrent, scope)
        time = gates.shape[-3]
        again = scope.buffer("again", (*scope.stack, *gates.shape[-2:]))
        for t in range(time):
            z, h = gates[..., t, :, :], states[..., t + 1, :, :]
            xp.matmul(across, states[..., t, :, :], out=again)
            z += again
            xp.tanh(z, out=h)

        def back(passed: Array) -> tuple[Array, Array]:
            for t in reversed(range(time)):
                dh, h, dz = (a[..., t, :, :] for a in (passed, states[..., 1:, :, :], gates))
                if t + 1 < time:
                    dh += xp.matmul(recurrent, gates[..., t + 1, :, :], out=again)
                xp.multiply(h, h, out=dz)
                xp.subtract(1, dz, out=dz)
                dz *= dh
            return gates, gates

        return back
