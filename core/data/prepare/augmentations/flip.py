"""Mirror images."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Le

from core.data.prepare.augmentation import Floats, PictureAugmentation
from core.family import Examples, member


@member
class Flip(PictureAugmentation):
    """Mirrors a share of the pictures: `horizontal` left to right, `vertical` upside down."""

    kind: Literal["flip"] = "flip"
    direction: Literal["horizontal", "vertical"] = "horizontal"
    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4, 5)),
        ({"direction": "vertical", "probability": 1.0}, (3, 4, 2)),
    )

    def apply(self, x: Floats, generator: np.random.Generator) -> Floats:
        chosen = generator.random(len(x)) < self.probability
        axis = 1 if self.direction == "vertical" else 2
        mirrored = x.copy()
        mirrored[chosen] = np.flip(x[chosen], axis)
        return mirrored
