"""Layers with a skip connection around them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from annotated_types import MaxLen, MinLen

from core.family import member, members
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, LayerError, Scope, ShapeError


@member
class Residual(Layer):
    """`y = x + f(x)`, where `f` is `layers` in order; `dx = dy + df(dy)`.

    The layers must preserve the shape. He et al., "Deep Residual Learning for Image Recognition"
    (2016).
    """

    kind: Literal["residual"] = "residual"
    layers: Annotated[tuple[Layer, ...], MinLen(1), MaxLen(1000)]

    def output(self, shape: Shape) -> Shape:
        out = self._shapes(shape)[-1]
        if out != shape:
            raise ShapeError(
                f"the layers of a residual must preserve the shape {shape}, but return {out}"
            )
        return shape

    def children(self, shape: Shape) -> list[tuple[Layer, Shape]]:
        return list(zip(self.layers, self._shapes(shape), strict=False))

    def _shapes(self, shape: Shape) -> list[Shape]:
        shapes = [shape]
        for index, layer in enumerate(self.layers):
            path = f".layers[{index}]"
            try:
                shapes.append(layer.output(shapes[-1]))
            except LayerError as error:
                raise LayerError(path + error.path, str(error)) from None
            except ShapeError as error:
                raise LayerError(path, str(error)) from None
        return shapes

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        inner, steps = x, []
        for layer, child in zip(self.layers, scope.children, strict=True):
            child.training = scope.training
            inner, step = layer.forward(inner, child)
            steps.append(step)
        y = xp.add(x, inner, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            d: Array | None = dy
            for step in reversed(steps):
                assert d is not None
                d = step(d)
            return xp.add(dy, d, out=scope.buffer("dx", x.shape))

        return y, backprop

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        # By kind: members do not import each other.
        layers: dict[str, Any] = members(Layer)
        dense, tanh = layers["dense"], layers["tanh"]
        yield cls(layers=(dense(units=3), tanh())), (3,)
        yield cls(layers=(cls(layers=(dense(units=2),)), dense(units=2))), (2,)
