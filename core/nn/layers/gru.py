"""Gated recurrent unit."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope, Weight
from core.nn.ops.recurrence import Recurrent, Unroll, transposed


@member
class Gru(Recurrent):
    """Gated recurrent unit with gates r and z and candidate n; the weights have this order.

    `r = sigmoid(x W_r + h U_r + b_r)`, `z = sigmoid(x W_z + h U_z + b_z)`,
    `n = tanh(x W_n + b_n + r (h U_n + c))`, new `h = (1 - z) n + z h`, `h_0 = 0`; `c` is the weight
    `candidate_bias`. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder"
    (2014), with the reset gate after the product, as in cuDNN.
    """

    kind: Literal["gru"] = "gru"
    gates: ClassVar[int] = 3

    def weights(self, shape: Shape) -> dict[str, Weight]:
        fans = (self.units, self.units)
        bias = Weight((self.units,), self.bias_initializer, *fans, decays=False)
        return {**super().weights(shape), "candidate_bias": bias}

    def unroll(self, gates: Array, states: Array, scope: Scope) -> Unroll:
        xp, units, stack = scope.xp, self.units, scope.stack
        time, batch = gates.shape[-3], gates.shape[-1]
        recurrent = scope.weights["recurrent"]
        own_bias = scope.weights["candidate_bias"][..., None]
        # sigmoid(a) = 1 / (1 + exp(-a)): change the sign of the weights once for all steps.
        across = transposed("across", recurrent, scope)
        across[..., : 2 * units, :] *= -1
        gates[..., : 2 * units, :] *= -1
        again = scope.buffer("again", (*stack, 3 * units, batch))
        again_rz, again_n = again[..., : 2 * units, :], again[..., 2 * units :, :]
        inner = scope.buffer("inner", (*stack, time, units, batch))
        change = scope.buffer("change", (*stack, units, batch))
        for t in range(time):
            rz, n = gates[..., t, : 2 * units, :], gates[..., t, 2 * units :, :]
            h, new, own = states[..., t, :, :], states[..., t + 1, :, :], inner[..., t, :, :]
            xp.matmul(across, h, out=again)
            rz += again_rz
            xp.exp(rz, out=rz)
            rz += 1
            xp.reciprocal(rz, out=rz)
            xp.add(again_n, own_bias, out=own)
            xp.multiply(rz[..., :units, :], own, out=change)
            n += change
            xp.tanh(n, out=n)
            xp.subtract(h, n, out=change)
            change *= rz[..., units:, :]
            xp.add(n, change, out=new)
        return lambda passed: self._back(passed, gates, states, inner, scope)

    def _back(
        self, passed: Array, gates: Array, states: Array, inner: Array, scope: Scope
    ) -> tuple[Array, Array]:
        """Return the gradients of the recurrent and of the input products.

        `gates` holds r, z and n of all steps and `inner` holds `h U_n + c`. `gates` is overwritten
        with gradients, from the last step to the first.
        """
        xp, units = scope.xp, self.units
        time = gates.shape[-3]
        recurrent = scope.weights["recurrent"]
        shape = inner[..., 0, :, :].shape
        carried, back = scope.buffer("carried", shape), scope.buffer("back", shape)
        part, slope = scope.buffer("part", shape), scope.buffer("slope", shape)
        given = scope.buffer("given", gates.shape)
        for t in reversed(range(time)):
            dh = passed[..., t, :, :]
            if t + 1 < time:
                dh += carried
            r, z, n = (gates[..., t, i * units : (i + 1) * units, :] for i in range(3))
            dr, dz, dn = (given[..., t, i * units : (i + 1) * units, :] for i in range(3))
            h, own = states[..., t, :, :], inner[..., t, :, :]
            xp.multiply(dh, z, out=carried)
            xp.subtract(dh, carried, out=part)  # dh (1 - z)
            xp.subtract(h, n, out=dz)
            dz *= part
            dz *= z  # dh (h - n) z (1 - z)
            xp.multiply(n, n, out=slope)
            xp.subtract(1, slope, out=slope)
            xp.multiply(part, slope, out=dn)
            xp.multiply(r, r, out=slope)
            xp.subtract(r, slope, out=slope)
            xp.multiply(dn, own, out=dr)
            dr *= slope
            n_back = gates[..., t, 2 * units :, :]
            xp.multiply(dn, r, out=n_back)
            gates[..., t, : 2 * units, :] = given[..., t, : 2 * units, :]
            xp.matmul(recurrent, gates[..., t, :, :], out=back)
            carried += back
        xp.sum(gates[..., 2 * units :, :], axis=(-3, -1), out=scope.gradients["candidate_bias"])
        return gates, given
