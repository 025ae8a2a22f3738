"""Long short-term memory."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.ops.recurrence import Recurrent, Unroll, transposed


@member
class Lstm(Recurrent):
    """Long short-term memory with gates i, f and o and candidate g; the weights have this order.

    `i, f, o = sigmoid(x W + h U + b)`, `g = tanh(x W_g + h U_g + b_g)`, `c = f c + i g`,
    `h = o tanh(c)`, `h_0 = c_0 = 0`. Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997),
    with the forget gate of Gers, Schmidhuber and Cummins (2000).
    """

    kind: Literal["lstm"] = "lstm"
    gates: ClassVar[int] = 4

    def unroll(self, gates: Array, states: Array, scope: Scope) -> Unroll:
        xp, units, stack = scope.xp, self.units, scope.stack
        time, batch = gates.shape[-3], gates.shape[-1]
        # sigmoid(a) = 1 / (1 + exp(-a)) and tanh(a) = 2 sigmoid(2 a) - 1: one exp for all gates;
        # multiply the weights by the factors once for all steps.
        across = transposed("across", scope.weights["recurrent"], scope)
        for part in (across, gates):
            part[..., : 3 * units, :] *= -1
            part[..., 3 * units :, :] *= -2
        again = scope.buffer("again", (*stack, 4 * units, batch))
        cells = scope.buffer("cells", (*stack, time + 1, units, batch))
        squashed = scope.buffer("squashed", (*stack, time, units, batch))
        part = scope.buffer("part", (*stack, units, batch))
        cells[..., 0, :, :] = 0
        for t in range(time):
            all_gates = gates[..., t, :, :]
            i, f, o, g = (all_gates[..., k * units : (k + 1) * units, :] for k in range(4))
            c, tanh_c = cells[..., t + 1, :, :], squashed[..., t, :, :]
            all_gates += xp.matmul(across, states[..., t, :, :], out=again)
            xp.exp(all_gates, out=all_gates)
            all_gates += 1
            xp.reciprocal(all_gates, out=all_gates)
            g *= 2
            g -= 1
            xp.multiply(i, g, out=part)
            xp.multiply(f, cells[..., t, :, :], out=c)
            c += part
            xp.tanh(c, out=tanh_c)
            xp.multiply(o, tanh_c, out=states[..., t + 1, :, :])
        return lambda passed: self._back(passed, gates, cells, squashed, scope)

    def _back(
        self, passed: Array, gates: Array, cells: Array, squashed: Array, scope: Scope
    ) -> tuple[Array, Array]:
        """Return the gradients of the recurrent and of the input products, which are equal.

        `gates` holds i, f, o and g of all steps. It is overwritten with gradients, from the last
        step to the first.
        """
        xp, units = scope.xp, self.units
        time = gates.shape[-3]
        recurrent = scope.weights["recurrent"]
        shape = squashed[..., 0, :, :].shape
        part, slope = scope.buffer("part", shape), scope.buffer("slope", shape)
        dc, back = scope.buffer("dc", shape), scope.buffer("back", shape)
        own = scope.buffer("own", gates[..., 0, :, :].shape)
        dc[...] = 0
        for t in reversed(range(time)):
            dh, tanh_c = passed[..., t, :, :], squashed[..., t, :, :]
            all_gates = gates[..., t, :, :]
            if t + 1 < time:
                dh += back
            i, f, o, g = (all_gates[..., k * units : (k + 1) * units, :] for k in range(4))
            di, df, do, dg = (own[..., k * units : (k + 1) * units, :] for k in range(4))
            xp.multiply(dh, tanh_c, out=do)
            xp.multiply(tanh_c, tanh_c, out=slope)
            xp.subtract(1, slope, out=slope)
            xp.multiply(dh, o, out=part)
            part *= slope
            dc += part
            xp.multiply(dc, g, out=di)
            xp.multiply(dc, cells[..., t, :, :], out=df)
            xp.multiply(g, g, out=slope)
            xp.subtract(1, slope, out=slope)
            xp.multiply(dc, i, out=dg)
            dg *= slope
            dc *= f
            ifo, d_ifo = all_gates[..., : 3 * units, :], own[..., : 3 * units, :]
            d_ifo *= ifo
            xp.subtract(1, ifo, out=ifo)
            ifo *= d_ifo
            all_gates[..., 3 * units :, :] = dg
            xp.matmul(recurrent, all_gates, out=back)
        return gates, gates
