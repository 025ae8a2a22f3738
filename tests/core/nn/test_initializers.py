"""Initializers: the numbers they promise, from seeds."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.family import members
from core.nn.initializers import (
    Constant,
    He,
    Initializer,
    LeCun,
    Normal,
    Ones,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Xavier,
    Zeros,
)

FAMILY: TypeAdapter[Initializer] = TypeAdapter(Initializer)
EXAMPLES = [
    pytest.param(one, id=f"{kind}-{index}")
    for kind, cls in members(Initializer).items()
    for index, one in enumerate(cls.examples())
]
SHAPE, FAN_IN, FAN_OUT = (200, 300), 200, 300


def draw(initializer: Initializer, seed: int = 1) -> np.ndarray:
    return initializer.draw(np.random.default_rng(seed), SHAPE, FAN_IN, FAN_OUT)


@pytest.mark.parametrize("initializer", EXAMPLES)
def test_shape_dtype_and_json(initializer: Initializer) -> None:
    drawn = draw(initializer)
    assert drawn.shape == SHAPE
    assert drawn.dtype == np.float64
    assert FAMILY.validate_json(FAMILY.dump_json(initializer)) == initializer


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0,)])
@pytest.mark.parametrize("initializer", EXAMPLES)
def test_any_shape(initializer: Initializer, shape: tuple[int, ...]) -> None:
    assert initializer.draw(np.random.default_rng(1), shape, 3, 4).shape == shape


@pytest.mark.parametrize("initializer", EXAMPLES)
def test_equal_seeds_give_equal_weights(initializer: Initializer) -> None:
    np.testing.assert_array_equal(draw(initializer), draw(initializer))


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation"),
    [
        (Zeros(), 0, 0),
        (Ones(), 1, 0),
        (Constant(value=0.3), 0.3, 0),
        (Uniform(minimum=1, maximum=3), 2, 2 / 12**0.5),
        (Normal(mean=1, deviation=0.5), 1, 0.5),
        (TruncatedNormal(deviation=1.0), 0, 0.87962566),
        (Xavier(), 0, (2 / 500) ** 0.5),
        (Xavier(distribution="normal", gain=2.0), 0, 2 * (2 / 500) ** 0.5),
        (He(), 0, 0.1),
        (He(distribution="uniform"), 0, 0.1),
        (LeCun(), 0, 0.005**0.5),
        (LeCun(distribution="uniform"), 0, 0.005**0.5),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_mean_and_deviation(initializer: Initializer, mean: float, deviation: float) -> None:
    drawn = draw(initializer)
    assert abs(drawn.mean() - mean) <= 5 * deviation / drawn.size**0.5 + 1e-12
    assert drawn.std() == pytest.approx(deviation, rel=0.02, abs=1e-12)


def test_uniform_keeps_its_bounds() -> None:
    drawn = draw(Uniform(minimum=0.1, maximum=0.9))
    assert 0.1 <= drawn.min() < 0.11
    assert 0.89 < drawn.max() <= 0.9


def test_truncated_normal_keeps_its_bounds() -> None:
    drawn = draw(TruncatedNormal(mean=1.0, deviation=2.0, bound=1.5))
    assert -2 <= drawn.min() < -1.95
    assert 3.95 < drawn.max() <= 4


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (3, 3, 2, 5)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape: tuple[int, ...]) -> None:
    drawn = Orthogonal(gain=2.0).draw(np.random.default_rng(1), shape, 1, 1)
    matrix = drawn.reshape(-1, shape[-1]) / 2
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign() -> None:
    signs = [
        np.sign(Orthogonal().draw(np.random.default_rng(seed), (3, 3), 3, 3)[0, 0])
        for seed in range(20)
    ]
    assert -15 < sum(signs) < 15


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum must not be above maximum"):
        Uniform(minimum=1, maximum=0)
