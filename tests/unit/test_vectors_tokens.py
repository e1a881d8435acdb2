"""Token vectors as bytes: inner products survive the way there and back, whatever the dimension."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.vectors.tokens import asked_tokens, read_tokens, stored_size, stored_tokens

DIMENSIONS = st.sampled_from([1, 2, 8, 47, 94, 126, 384])


def unit(seed: int, *shape: int) -> npt.NDArray[np.float32]:
    """Random vectors of length 1."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def engine_score(asked: npt.NDArray[np.uint8], stored: npt.NDArray[np.uint8]) -> float:
    """The engine's MaxSim of unsigned bytes."""
    products = asked.astype(np.int64) @ stored.astype(np.int64).T
    return float(products.max(axis=1).sum())


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dimensions=DIMENSIONS, tokens=st.integers(1, 12))
def test_maxsim_of_bytes_is_that_of_the_vectors(seed: int, dimensions: int, tokens: int) -> None:
    query, document = unit(seed, tokens, dimensions), unit(seed + 1, 20, dimensions)
    asked = asked_tokens(query, "uint8")
    found = asked.maxsim(engine_score(asked.vectors, stored_tokens(document, "uint8")))
    assert found / tokens == pytest.approx((query @ document.T).max(axis=1).mean(), abs=0.01)


def test_the_mean_over_the_tokens_of_a_query_is_wrong_by_less_than_one_in_a_thousand() -> None:
    errors = []
    for seed in range(100):
        query, document = unit(seed, 10, 94), unit(1000 + seed, 60, 94)
        asked = asked_tokens(query, "uint8")
        found = asked.maxsim(engine_score(asked.vectors, stored_tokens(document, "uint8")))
        errors.append(found / 10 - float((query @ document.T).max(axis=1).mean()))
    assert np.abs(errors).mean() < 0.001


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dimensions=DIMENSIONS)
def test_every_stored_vector_has_the_same_sum(seed: int, dimensions: int) -> None:
    stored = stored_tokens(unit(seed, 50, dimensions), "uint8")
    assert stored.shape == (50, stored_size(dimensions, "uint8"))
    assert set(stored.astype(int).sum(axis=1)) == {128 * (dimensions + 2)}


@pytest.mark.parametrize("dimensions", [8, 94, 384])
def test_the_axes_themselves_are_stored_as_well_as_mixtures(dimensions: int) -> None:
    axes = np.eye(dimensions, dtype=np.float32)
    assert read_tokens(stored_tokens(axes, "uint8"), "uint8") == pytest.approx(axes, abs=0.02)


@pytest.mark.parametrize("form", ["uint8", "float16"])
def test_vectors_come_back(form: str) -> None:
    vectors = unit(3, 7, 94).astype(np.float16)
    back = read_tokens(stored_tokens(vectors, form), form)  # type: ignore[arg-type]
    assert back.dtype == np.float16
    assert back.shape == vectors.shape
    assert back == pytest.approx(vectors, abs=0.005)
