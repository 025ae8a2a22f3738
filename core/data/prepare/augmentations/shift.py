"""Pictures moved a little."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from core.data.prepare.augmentation import Floats, PictureAugmentation
from core.family import Examples, member


@member
class Shift(PictureAugmentation):
    """Moves each picture by up to `pixels` down or up and right or left; what comes in is 0."""

    kind: Literal["shift"] = "shift"
    pixels: Annotated[int, Ge(1), Le(1000)] = 2
    EXAMPLES: ClassVar[Examples] = (({}, (6, 5)), ({"pixels": 1}, (3, 4, 2)))

    def apply(self, x: Floats, generator: np.random.Generator) -> Floats:
        moves = generator.integers(-self.pixels, self.pixels, (len(x), 2), endpoint=True)
        moved = np.zeros_like(x)
        for down, right in np.unique(moves, axis=0).tolist():
            rows = np.flatnonzero((moves == (down, right)).all(axis=1))
            into, out_of = zip(_overlap(down, x.shape[1]), _overlap(right, x.shape[2]), strict=True)
            moved[(rows[:, None, None], *_grid(into))] = x[(rows[:, None, None], *_grid(out_of))]
        return moved


def _overlap(by: int, size: int) -> tuple[range, range]:
    """Which places are filled when `size` of them move `by`, and from which."""
    count = max(0, size - abs(by))
    return range(max(0, by), max(0, by) + count), range(max(0, -by), max(0, -by) + count)


def _grid(places: tuple[range, range]) -> tuple[np.ndarray, np.ndarray]:
    down, right = places
    return np.array(down, int)[None, :, None], np.array(right, int)[None, None, :]
