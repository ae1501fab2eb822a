"""Find, exactly, the training rows of largest or smallest representer value for many test rows.

    value(i, t) = alpha_i (f_i . f_t)        for one class: alpha [N]

|value(i, t)| <= reach_i |f_t| with reach_i = |alpha_i| |f_i| (Cauchy-Schwarz). So rows are visited
in order of decreasing reach, and a test row is done once no remaining row can beat its k-th best.
Most training rows affect every output little, so few are visited. Products are computed in float32;
the best candidates, some more than k, are computed again in float64. If float32 cannot settle which
rows are the k best, because of ties for instance, the search is repeated in float64.

The bound is that of LEMP (Teflioudi, Gemulla & Mykytiuk, SIGMOD 2015, section 3).
"""

from dataclasses import dataclass

import numpy as np
import torch

from scoring.arrays import Bools, Floats, Floats32, Ints
from scoring.representers.matrix import Matrix, block_rows, blocks

_RESERVE = 16  # candidates beyond k
_FIRST, _LARGEST = 512, 4096  # rows in the first block, and at most in later ones
_TESTS_AT_ONCE = 128  # test rows whose candidates are in memory in float64


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Training rows, prepared for products f_i . f_t with test rows."""

    features: Matrix
    """[N, D] float32."""
    norms: Floats
    """[N] |f_i|."""
    nonnegative: bool
    """No feature is negative, as after a ReLU, so no product is."""

    @classmethod
    def from_features(cls, features: Matrix) -> "Kernel":
        """Compute the norms of features [N, D], reading the rows once."""
        norms, nonnegative = np.empty(features.shape[0]), True
        for block in blocks(features.shape[0], block_rows(features.shape[1])):
            part = features[block]
            norms[block] = np.sqrt(np.einsum("nd,nd->n", part, part, dtype=np.float64))
            nonnegative &= bool((part >= 0).all())
        return cls(features=features, norms=norms, nonnegative=nonnegative)


@dataclass(frozen=True, kw_only=True)
class Strongest:
    """The k strongest training rows of one sign for each of T test rows, strongest first."""

    rows: Ints
    """[T, k] positions among the N training rows; -1 where fewer than k have that sign."""
    values: Floats
    """[T, k] alpha_i (f_i . f_t); NaN where fewer than k have that sign."""


def strongest(kernel: Kernel, alpha: Floats, queries: Floats32, k: int, sign: int) -> Strongest:
    """Find the rows of largest (sign 1: excitatory) or smallest value (sign -1: inhibitory).

    Args:
        kernel: N training rows.
        alpha: [N] for one output.
        queries: [T, D] features of the test rows.
        k: how many rows to find for each test row.
        sign: 1 or -1.
    """
    pull = sign * alpha
    rows, values, certain = _search(kernel, pull, queries, k, torch.float32)
    if not certain.all():
        rows[~certain], values[~certain], _ = _search(
            kernel, pull, queries[~certain], k, torch.float64
        )
    return Strongest(rows=rows, values=sign * values)


def _search(
    kernel: Kernel, pull: Floats, queries: Floats32, k: int, dtype: torch.dtype
) -> tuple[Ints, Floats, Bools]:
    """Search for the k rows of largest pull_i (f_i . f_t), finding candidates in `dtype`.

    Returns:
        The rows [T, k], their values [T, k], and [T] whether the set of rows is certain.
    """
    reach = np.abs(pull) * kernel.norms
    order = np.flatnonzero(pull > 0 if kernel.nonnegative else pull != 0)
    order = order[np.argsort(-reach[order], kind="stable")]
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    # Error bound of a sum of products after three roundings (Higham 2002, section 3.1), doubled.
    rounding = (queries.shape[1] + 3) * torch.finfo(dtype).eps
    error = rounding * reach.max(initial=0.0) * lengths
    found = _Candidates(queries, k + _RESERVE, dtype)
    active, first, size = np.arange(len(queries)), 0, _FIRST
    while first < len(order) and len(active):
        rows = order[first : first + size]
        found.offer(active, rows, kernel.features[rows], pull[rows])
        first, size = first + size, min(2 * size, _LARGEST)
        if first < len(order):
            bound = reach[order[first]] * lengths[active] + error[active]
            active = active[bound >= found.values[active, k - 1].double().numpy()]
    rows, values = _recompute(kernel.features, pull, queries, found.rows.numpy())
    worst = found.values[:, -1].double().numpy()
    certain = np.isneginf(worst) | (worst + error <= values[:, k - 1])
    negligible = ~(values[:, :k] > 0)
    return (
        np.where(negligible, -1, rows[:, :k]),
        np.where(negligible, np.nan, values[:, :k]),
        certain,
    )


class _Candidates:
    """The best rows so far for T test rows: `values` and `rows`, [T, kept], largest first."""

    def __init__(self, queries: Floats32, kept: int, dtype: torch.dtype) -> None:
        self._queries, self._kept = torch.from_numpy(queries).to(dtype), kept
        self.values = torch.full((len(queries), kept), -torch.inf, dtype=dtype)
        self.rows = torch.full((len(queries), kept), -1)

    def offer(self, active: Ints, rows: Ints, features: Floats32, pull: Floats) -> None:
        """Consider some training rows for the test rows that are still `active`."""
        dtype = self.values.dtype
        pulled = torch.from_numpy(features).to(dtype) * torch.from_numpy(pull[:, None]).to(dtype)
        products = self._queries[active] @ pulled.T
        best, at = products.topk(min(self._kept, len(rows)), dim=1)
        values = torch.cat([self.values[active], best], dim=1)
        candidates = torch.cat([self.rows[active], torch.from_numpy(rows)[at]], dim=1)
        self.values[active], at = values.topk(self._kept, dim=1)
        self.rows[active] = candidates.gather(1, at)


def _recompute(
    features: Matrix, pull: Floats, queries: Floats32, candidates: Ints
) -> tuple[Ints, Floats]:
    """Sort candidates [T, kept] by their values in float64, largest first, ties by position.

    Returns:
        The candidates and their values, [T, kept] each.
    """
    candidates = np.sort(candidates, axis=1)
    values = np.full(candidates.shape, -np.inf)
    for tests in blocks(len(queries), _TESTS_AT_ONCE):
        # -1 stands for no candidate; its value is overwritten below.
        rows, at = np.unique(np.maximum(candidates[tests], 0), return_inverse=True)
        pulled = features[rows].astype(np.float64) * pull[rows, None]
        products = queries[tests].astype(np.float64) @ pulled.T
        values[tests] = np.take_along_axis(products, at.reshape(candidates[tests].shape), axis=1)
    values[candidates < 0] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(values, order, axis=1)
