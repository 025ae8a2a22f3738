"""Augmentations change what they say, randomly by seed, epoch and batch alone."""

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import core.data.prepare.augmentations  # noqa: F401  (the members register themselves)
from core.data.prepare.augmentation import Augmentation, augment
from core.data.prepare.augmentations.flip import Flip
from core.data.prepare.augmentations.noise import Noise
from core.data.prepare.augmentations.shift import Shift
from core.family import members

EXAMPLES = [
    pytest.param(one, shape, id=f"{kind}-{number}")
    for kind, cls in members(cast("Any", Augmentation)).items()
    for number, (one, shape) in enumerate(cls.examples())
]


def rows_of(shape: tuple[int, ...], rows: int = 50) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)


@pytest.mark.parametrize(("one", "shape"), EXAMPLES)
def test_rows_change_by_seed_epoch_and_batch_and_by_nothing_else(
    one: Augmentation, shape: tuple[int, ...]
) -> None:
    x = rows_of(shape)
    before = x.copy()
    first = augment([one], x, 3, 1, 2)
    assert one.objection(shape) is None
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(augment([one], x, 3, 1, 2), first)
    assert (first != x).any()
    if one != Flip(direction="vertical", probability=1.0):  # which leaves nothing to chance
        for other in ((4, 1, 2), (3, 2, 2), (3, 1, 3)):
            assert (augment([one], x, *other) != first).any()


def test_a_flip_mirrors_about_its_share_of_the_pictures() -> None:
    x = rows_of((4, 5), 1000)
    found = augment([Flip(probability=0.3)], x, 0, 0, 0)
    mirrored = (found == x[:, :, ::-1]).all(axis=(1, 2))
    kept = (found == x).all(axis=(1, 2))
    assert (mirrored ^ kept).all()
    assert 200 < mirrored.sum() < 400
    upside_down = augment([Flip(direction="vertical", probability=1.0)], x, 0, 0, 0)
    np.testing.assert_array_equal(upside_down, x[:, ::-1])


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_a_shift_moves_a_picture_and_fills_with_nothing(shape: tuple[int, ...]) -> None:
    x = rows_of(shape, 200)
    found = augment([Shift(pixels=2)], x, 0, 0, 0)
    seen = set()
    for before, after in zip(x, found, strict=True):
        moves = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(after, moved(before, down, right))
        ]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) == 25


def moved(picture: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    padded = np.pad(picture, [(2, 2), (2, 2), *[(0, 0)] * (picture.ndim - 2)])
    height, width = picture.shape[:2]
    return padded[2 - down : 2 - down + height, 2 - right : 2 - right + width]


def test_noise_has_its_deviation() -> None:
    x = np.zeros((500, 40), np.float32)
    found = augment([Noise(deviation=0.5)], x, 0, 0, 0)
    assert abs(found.std() - 0.5) < 0.02
    assert abs(found.mean()) < 0.02


def test_rows_that_are_no_pictures_are_objected_to() -> None:
    assert "pictures" in str(Flip().objection((7,)))
    assert "pictures" in str(Shift().objection((2, 3, 4, 5)))
