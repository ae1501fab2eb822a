from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from scoring.representers.matrix import FileMatrix
from scoring.representers.strongest import Kernel, Strongest, strongest


def brute(features: np.ndarray, alpha: np.ndarray, queries: np.ndarray, sign: int) -> np.ndarray:
    return sign * (queries.astype(float) @ features.astype(float).T) * alpha


def check(found: Strongest, pulls: np.ndarray, k: int, sign: int) -> None:
    """Check for the same values as by brute force, in order; ties may be broken either way."""
    best = -np.sort(-pulls, axis=1)[:, :k]
    best[best <= 0] = np.nan
    np.testing.assert_allclose(sign * found.values, best, rtol=1e-12)
    there = found.rows >= 0
    np.testing.assert_array_equal(there, ~np.isnan(best))
    values = np.take_along_axis(pulls, np.maximum(found.rows, 0), axis=1)
    np.testing.assert_allclose(values[there], best[there], rtol=1e-12)
    for rows in found.rows:
        assert len(set(rows[rows >= 0])) == (rows >= 0).sum()


@pytest.fixture
def draws() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("after_relu", [True, False])
@pytest.mark.parametrize("tail", [0.0, 3.0])
def test_finds_what_brute_force_finds(
    draws: np.random.Generator, sign: int, after_relu: bool, tail: float
) -> None:
    features, queries = (draws.standard_normal((n, 24)).astype(np.float32) for n in (9000, 150))
    if after_relu:
        features, queries = np.maximum(features, 0), np.maximum(queries, 0)
    alpha = draws.standard_normal(9000) * np.exp(tail * draws.standard_normal(9000))
    kernel = Kernel.from_features(features)
    assert kernel.nonnegative == after_relu
    found = strongest(kernel, alpha, queries, 10, sign)
    check(found, brute(features, alpha, queries, sign), 10, sign)


def test_most_rows_are_never_read(draws: np.random.Generator) -> None:
    class Counted:
        shape, read = (50_000, 16), 0

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            Counted.read += len(rows)
            return features[rows]

    features, queries = (
        np.abs(draws.standard_normal((n, 16))).astype(np.float32) for n in (50_000, 40)
    )
    alpha = draws.standard_normal(50_000) * np.exp(3 * draws.standard_normal(50_000))
    kernel = Kernel(
        features=Counted(), norms=np.linalg.norm(features.astype(float), axis=1), nonnegative=True
    )
    found = strongest(kernel, alpha, queries, 5, 1)
    check(found, brute(features, alpha, queries, 1), 5, 1)
    assert 0 < Counted.read < 5000


def test_more_close_values_than_candidates_are_settled_in_float64(
    draws: np.random.Generator,
) -> None:
    """A hundred rows have values too close for float32."""
    one = np.abs(draws.standard_normal(8)).astype(np.float32)
    features = np.concatenate([np.tile(one, (100, 1)), np.abs(draws.standard_normal((900, 8)))])
    features = features.astype(np.float32)
    alpha = np.full(1000, 1e-3)
    alpha[:100] = 1 + 1e-10 * draws.permutation(100)
    found = strongest(Kernel.from_features(features), alpha, one[None], 7, 1)
    np.testing.assert_array_equal(found.rows[0], np.argsort(-alpha[:100])[:7])


def test_equal_values_come_in_any_order_but_once() -> None:
    features = np.ones((500, 2), np.float32)
    found = strongest(Kernel.from_features(features), np.ones(500), features[:3], 4, 1)
    check(found, np.full((3, 500), 2.0), 4, 1)
    assert (np.diff(found.rows) > 0).all()


def test_fewer_than_k_rows_of_a_sign_are_padded(draws: np.random.Generator) -> None:
    features = np.abs(draws.standard_normal((30, 4))).astype(np.float32)
    alpha = np.full(30, -1.0)
    alpha[[4, 9]] = 1
    found = strongest(Kernel.from_features(features), alpha, features[:3], 5, 1)
    check(found, brute(features, alpha, features[:3], 1), 5, 1)
    assert (found.rows[:, :2] >= 0).all()
    assert (found.rows[:, 2:] == -1).all()


def test_no_test_rows_and_zero_alpha() -> None:
    kernel = Kernel.from_features(np.ones((1, 3), np.float32))
    assert strongest(kernel, np.ones(1), np.ones((0, 3), np.float32), 2, 1).rows.shape == (0, 2)
    found = strongest(kernel, np.zeros(1), np.ones((1, 3), np.float32), 2, 1)
    assert (found.rows == -1).all()


def test_rows_in_a_file(draws: np.random.Generator, tmp_path: Path) -> None:
    features = draws.standard_normal((3000, 12)).astype(np.float32)
    features.tofile(tmp_path / "features")
    stored = Kernel.from_features(
        FileMatrix(file=FileIO(tmp_path / "features"), shape=features.shape)
    )
    alpha = draws.standard_normal(3000)
    found = [
        strongest(kernel, alpha, features[:9], 6, -1)
        for kernel in (stored, Kernel.from_features(features))
    ]
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    np.testing.assert_array_equal(found[0].values, found[1].values)
