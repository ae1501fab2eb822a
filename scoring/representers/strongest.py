"""The training rows of largest and smallest representer value, exactly, for many test rows.

    value(i, t) = alpha_i (f_i . f_t)        for one class: alpha [N]

|value(i, t)| <= reach_i |f_t| with reach_i = |alpha_i| |f_i| (Cauchy-Schwarz). So rows are taken in
order of reach, and a test row is done once what is left cannot reach its k-th best. Most training
rows pull little at anything, so few are looked at. Products are taken in float32, then the best of
them in float64, with some in reserve. Where these do not suffice to be sure of the set (ties, say),
all is done again in float64.

The bound is that of LEMP (Teflioudi, Gemulla & Mykytiuk, SIGMOD 2015, section 3).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from scoring.arrays import Floats, Floats32, Ints
from scoring.representers.matrix import Matrix, block_rows, blocks

_RESERVE = 16  # candidates beyond k
_FIRST, _LARGEST = 512, 4096  # rows of the first block, and of later ones
_WEIGHED = 128  # test rows whose candidates are held in float64


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Training rows on one side of the products f_i . f_t."""

    features: Matrix
    """[N, D] float32."""
    norms: Floats
    """[N] float64: |f_i|."""
    nonnegative: bool
    """No feature is below 0, as behind a ReLU: then no product is."""

    @classmethod
    def of(cls, features: Matrix) -> "Kernel":
        """Read the rows once for their norms."""
        norms, nonnegative = np.empty(features.shape[0]), True
        for block in blocks(features.shape[0], block_rows(features.shape[1])):
            part = features[block]
            norms[block] = np.sqrt(np.einsum("nd,nd->n", part, part, dtype=np.float64))
            nonnegative &= bool((part >= 0).all())
        return cls(features=features, norms=norms, nonnegative=nonnegative)


@dataclass(frozen=True, kw_only=True)
class Strongest:
    """The k strongest rows of one sign for each of T test rows, strongest first."""

    rows: Ints
    """[T, k] int64: positions among the N; -1 where fewer have a value of that sign."""
    values: Floats
    """[T, k] float64: alpha_i (f_i . f_t); NaN where there are fewer."""


def strongest(kernel: Kernel, alpha: Floats, queries: Floats32, k: int, sign: int) -> Strongest:
    """The rows of largest (sign 1: excitatory) or smallest value (sign -1: inhibitory).

    Args:
        kernel: N training rows.
        alpha: [N] float64, of one class.
        queries: [T, D] float32, the features of the test rows.
        k: how many.
        sign: which side.
    """
    pull = sign * alpha
    rows, values, sure = _search(kernel, pull, queries, k, torch.float32)
    if not sure.all():
        rows[~sure], values[~sure], _ = _search(kernel, pull, queries[~sure], k, torch.float64)
    return Strongest(rows=rows, values=sign * values)


def _search(
    kernel: Kernel, pull: Floats, queries: Floats32, k: int, dtype: torch.dtype
) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
    """The rows of largest pull_i (f_i . f_t), these values in float64, and which sets are certain.

    Candidates are found with products in `dtype`.
    """
    reach = np.abs(pull) * kernel.norms
    order = np.flatnonzero(pull > 0 if kernel.nonnegative else pull != 0)
    order = order[np.argsort(-reach[order], kind="stable")]
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    # Of a sum of products with three roundings before it (Higham 2002, section 3.1), times two.
    rounding = (queries.shape[1] + 3) * torch.finfo(dtype).eps
    error = rounding * reach.max(initial=0.0) * lengths
    found = _Candidates(queries, k + _RESERVE, dtype)
    going, first, size = np.arange(len(queries)), 0, _FIRST
    while first < len(order) and len(going):
        rows = order[first : first + size]
        found.offer(going, rows, kernel.features[rows], pull[rows])
        first, size = first + size, min(2 * size, _LARGEST)
        if first < len(order):
            farthest = reach[order[first]] * lengths[going] + error[going]
            going = going[farthest >= found.values[going, k - 1].double().numpy()]
    rows, values = _weighed(kernel.features, pull, queries, found.rows.numpy())
    beyond = found.values[:, -1].double().numpy()
    sure = np.isneginf(beyond) | (beyond + error <= values[:, k - 1])
    negligible = ~(values[:, :k] > 0)
    return (
        np.where(negligible, -1, rows[:, :k]),
        np.where(negligible, np.nan, values[:, :k]),
        sure,
    )


class _Candidates:
    """The best rows so far of T test rows: `values` and `rows`, [T, kept], largest first."""

    def __init__(self, queries: Floats32, kept: int, dtype: torch.dtype) -> None:
        self._queries, self._kept = torch.from_numpy(queries).to(dtype), kept
        self.values = torch.full((len(queries), kept), -torch.inf, dtype=dtype)
        self.rows = torch.full((len(queries), kept), -1)

    def offer(self, going: Ints, rows: Ints, features: Floats32, pull: Floats) -> None:
        """Weigh some rows against the test rows that are `going`."""
        dtype = self.values.dtype
        pulled = torch.from_numpy(features).to(dtype) * torch.from_numpy(pull[:, None]).to(dtype)
        products = self._queries[going] @ pulled.T
        best, at = products.topk(min(self._kept, len(rows)), dim=1)
        values = torch.cat([self.values[going], best], dim=1)
        names = torch.cat([self.rows[going], torch.from_numpy(rows)[at]], dim=1)
        self.values[going], at = values.topk(self._kept, dim=1)
        self.rows[going] = names.gather(1, at)


def _weighed(
    features: Matrix, pull: Floats, queries: Floats32, candidates: Ints
) -> tuple[Ints, Floats]:
    """Candidates [T, kept] and their values in float64, largest first, equal ones by position."""
    names = np.sort(candidates, axis=1)
    values = np.full(names.shape, -np.inf)
    for some in blocks(len(queries), _WEIGHED):
        rows, at = np.unique(names[some], return_inverse=True)
        pulled = features[rows].astype(np.float64) * pull[rows, None]
        products = queries[some].astype(np.float64) @ pulled.T
        values[some] = np.take_along_axis(products, at.reshape(names[some].shape), axis=1)
    values[names < 0] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(names, order, axis=1), np.take_along_axis(values, order, axis=1)
