"""Numbers blurred a little."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from core.data.prepare.augmentation import Augmentation, Floats
from core.family import Examples, member


@member
class Noise(Augmentation):
    """Adds normally distributed noise of this `deviation` to every prepared number."""

    kind: Literal["noise"] = "noise"
    deviation: Annotated[float, Gt(0)] = 0.1
    EXAMPLES: ClassVar[Examples] = (({}, (7,)), ({"deviation": 0.5}, (3, 4, 2)))

    def apply(self, x: Floats, generator: np.random.Generator) -> Floats:
        blurred: Floats = x + generator.standard_normal(x.shape, np.float32) * np.float32(
            self.deviation
        )
        return blurred.astype(x.dtype, copy=False)
