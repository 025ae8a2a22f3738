"""Numbers blurred a little."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from core.data.prepare.augmentation import Augmentation, Floats, Shape
from core.family import member


@member
class Noise(Augmentation):
    """Adds normally distributed noise of this `deviation` to every prepared number."""

    kind: Literal["noise"] = "noise"
    deviation: Annotated[float, Gt(0)] = 0.1

    def apply(self, x: Floats, generator: np.random.Generator) -> Floats:
        blurred: Floats = x + generator.standard_normal(x.shape, np.float32) * np.float32(
            self.deviation
        )
        return blurred.astype(x.dtype, copy=False)

    @classmethod
    def examples(cls) -> Iterator[tuple[Augmentation, Shape]]:
        yield cls(), (7,)
        yield cls(deviation=0.5), (3, 4, 2)
