"""Ensemble agreement: how far apart the predictions of independently trained models are.

    agr(x) = (1/M^2) sum_ij JS(f_i(x), f_j(x))
    JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2

f_i = softmax of model i, H = entropy, natural log. Range [0, ln 2), in nats; low = prototypical:
the models agree. A divergence between models is itself a spread over models, so there is no
`spread` column.

The sum is exact, but not computed by the literal double loop, which would take two logarithms for
each of the M^2 pairs in each class. Summed by class, with v_i = f_i(x)_c, the symmetry in i and j
leaves

    agr(x) = (1/M^2) sum_c sum_i v_i (M log v_i - sum_j log((v_i + v_j) / 2))

and four of the inner logarithms are the logarithm of one product, (v_i + v_1) ... (v_i + v_4) / 16.
This product is a polynomial in v_i whose coefficients are the symmetric polynomials of v_1 ... v_4,
so one small matrix product computes it for all i and all groups of four. Two steps keep it
accurate:
- each class is first divided by its largest probability, which changes only terms that cancel, and
  makes its terms comparable; probabilities below 1e-9 of the largest are raised to that, so that
  products of four stay in the range of float32. This changes the result by about 1e-8 of itself.
- the class that is largest on average is summed in float64, as one minus the others: probabilities
  near 1 differ by less than float32 resolves, and examples that all models find easy would tie.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: the mean
runs over all ordered pairs, including those of a model with itself (zero). Cost: M forward passes
per example, O(M^2 C) arithmetic; memory O(M N C) for the probabilities and a few MB of work space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scoring.arrays import Floats, Floats32
from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal

Probabilities = tuple[Floats32, ...]
"""Of each model, [N, C]."""
Reals = npt.NDArray[np.floating[Any]]
_GROUP = 4  # models per logarithm
_FLOOR = 1e-9  # share of the largest probability; its fourth power is a normal float32
_ROWS_BYTES = 256 << 10  # probabilities to reorder at once
_PRODUCTS_BYTES = 1 << 20  # products at once: enough to hide NumPy's call overhead, and in cache
_KEPT_BYTES = 16 << 20  # never touched, so never backed by memory


def mean_jensen_shannon(probabilities: Sequence[Floats32] | Floats32) -> Floats:
    """Return the mean Jensen-Shannon divergence over all ordered pairs of distributions.

    Args:
        probabilities: for each of M models, [N, C] float32; rows sum to 1.

    Returns:
        [N] float64 nats in [0, ln 2), mostly with relative error 1e-7, and always with an error of
        at most 1e-6 times the probability outside the largest class. The result of a row does not
        depend on the other rows.
    """
    models, (rows, classes) = len(probabilities), probabilities[0].shape
    divergence = np.empty(rows)
    step = max(1, _ROWS_BYTES // max(4 * models * classes, 1))
    # Fresh pages for the arrays of every block would double the time. So products share one space,
    # and freeing one large array first makes glibc keep what is freed later for the next block.
    np.empty(_KEPT_BYTES, np.uint8)
    space = np.empty(max(_PRODUCTS_BYTES // 8, models * _groups(models)))
    for first in range(0, rows, step):
        block = np.stack([p[first : first + step] for p in probabilities])  # [M, R, C]
        by_class = np.ascontiguousarray(block.transpose(1, 2, 0))  # [R, C, M]
        divergence[first : first + step] = _mean_of_block(by_class, space)
    return divergence


def _mean_of_block(v: Floats32, space: Floats) -> Floats:
    """Return [R] nats for v [R, C, M], which is overwritten."""
    largest = v.sum(axis=2).argmax(axis=1)
    v[np.arange(len(v)), largest] = v[:, 0]  # the first class takes the place of the largest
    others = v[:, 1:]  # [R, C - 1, M]
    rows, classes, models = others.shape
    by_class = _pair_terms(others.reshape(-1, models), space).reshape(rows, classes)
    terms: Floats = by_class.sum(axis=1)
    terms += _pair_terms(1 - others.sum(axis=1, dtype=np.float64), space)
    return np.maximum(terms, 0.0)


def _pair_terms(v: Reals, space: Floats) -> Floats:
    """Return the pair sum of each class.

    Args:
        v: [B, M] in [0, 1].
        space: where the products go.

    Returns:
        (1/M^2) sum_i v_i (M log v_i - sum_j log((v_i + v_j) / 2)), [B].
    """
    models = v.shape[1]
    groups = _groups(models)
    spare = groups * _GROUP - models
    scale = np.maximum(v.max(axis=1), np.finfo(v.dtype).tiny)
    members = np.zeros((len(v), groups * _GROUP), v.dtype)  # v / (2 scale), padded with zeros
    np.maximum(v / (2 * scale[:, None]), v.dtype.type(_FLOOR / 2), out=members[:, :models])
    half = members[:, :models]
    full = 2 * half
    difference = models * np.log(full)
    if spare:  # a spare member is 0, so it multiplies a product by v_i / 2
        difference += spare * np.log(half)
    coefficients = _coefficients(members.reshape(-1, groups, _GROUP))
    difference -= _log_products(coefficients, _powers(half), space)
    terms: Floats = np.vecdot(full, difference).astype(np.float64) * scale / models**2
    return terms


def _log_products(left: Reals, right: Reals, space: Floats) -> Reals:
    """Return the sum over groups of log(left [B, G, 5] @ right [B, 5, M]), [B, M]."""
    groups, models = left.shape[1], right.shape[2]
    products = space.view(left.dtype)
    products = products[: products.size // (groups * models) * groups * models]
    products = products.reshape(-1, groups, models)
    ones = np.ones(groups, left.dtype)
    total = np.empty((len(left), models), left.dtype)
    for first in range(0, len(left), len(products)):
        rows = slice(first, min(first + len(products), len(left)))
        logs = np.matmul(left[rows], right[rows], out=products[: rows.stop - first])
        np.log(logs, out=logs)
        np.vecmat(ones, logs, out=total[rows])
    return total


def _groups(models: int) -> int:
    return -(-models // _GROUP)


def _coefficients(groups: Reals) -> Reals:
    """Return (x + a)(x + b)(x + c)(x + d) in powers of x, [b, G, 5], for groups [b, G, 4]."""
    a, b, c, d = np.moveaxis(groups, 2, 0)
    ab, cd, a_b, c_d = a * b, c * d, a + b, c + d
    return np.stack(
        [ab * cd, ab * c_d + cd * a_b, ab + cd + a_b * c_d, a_b + c_d, np.ones_like(ab)], axis=2
    )


def _powers(half: Reals) -> Reals:
    """Return half [b, M] to the powers 0 to 4, [b, 5, M]."""
    square = half * half
    return np.stack([np.ones_like(half), half, square, square * half, square * square], axis=1)


@dataclass(frozen=True)
class MeanDivergence(Fold[Probabilities]):
    """Gathers the softmax of the models, for the mean over all ordered pairs."""

    def start(self, config: object, batch: Batch, classes: int) -> Probabilities:
        """Return the probabilities of no model."""
        return ()

    def update(self, state: Probabilities, output: Output) -> Probabilities:
        """Add one model."""
        return (*state, torch.softmax(output.logits.float(), dim=1).cpu().numpy())

    def finish(self, state: Probabilities) -> Columns:
        """Return the mean divergence, [N] float64."""
        if not state:
            raise ValueError("agr: expected outputs of at least one run, got none")
        return Columns(value=mean_jensen_shannon(state))


METRIC = FoldedMetric(
    name="agr",
    summary="mean Jensen-Shannon divergence between independently trained models",
    purpose="atypical",
    version=1,
    unit="nats",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=MeanDivergence(),
)
