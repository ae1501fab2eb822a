"""Representer values compared with influence functions, on one layer at rest.

Yeh et al. 2018, arXiv:1811.09720: section 4.2 and Table 1 (the cost of an explanation), Figure 7
(test examples that influence functions say nothing about, because their loss is flat), and Figure 9
(the strongest training examples are not the nearest ones).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from scoring.arrays import Floats, Floats32, Ints
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.influence import Influence
from scoring.representers.matrix import blocks
from scoring.representers.solve import Objective
from scoring.tables.findings import Finding

MEASURES = ("seconds_once", "seconds_each", "nothing_said", "spearman")
_BLOCK_TESTS = 64  # test rows whose values for all training rows are in memory at once
_BLOCK_ROWS = 4096  # training rows read at once
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A layer at rest on N training rows, and T test rows to explain."""

    objective: Objective
    rest: LayerAtRest
    features: Floats32
    """[T, D]."""
    labels: Ints
    """[T]."""
    example: int | None = None
    """Position of the test row to keep all values of; None: the first one that the layer
    misclassifies, or else the first."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One test row, and the values of all training rows for it."""

    position: int
    """Its position among the T."""
    label: int
    predicted: int
    distance: Floats
    """[N] Euclidean distance between features."""
    values: Mapping[str, Floats]
    """Method to values [N]."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The values of both methods on the test rows, and their cost."""

    strongest: dict[str, Floats]
    """Method to the largest absolute value [T] of any training row."""
    seconds_once: dict[str, float]
    """Method to seconds before the first explanation."""
    seconds_each: dict[str, float]
    """Method to seconds for one test row and all training rows."""
    correlations: dict[tuple[str, str], Floats]
    """Pair to Spearman's correlation [T] over training rows, of absolute values and closeness."""
    example: Example


def compare(setting: Setting) -> Comparison:
    """Explain the test rows by both methods: the predicted class's output, and the label's loss."""
    methods: dict[str, Method] = {}
    once = {}
    for name, begin in (("representer", RepresenterValues), ("influence", InfluenceOnLoss)):
        began = time.perf_counter()
        methods[name] = begin(setting)
        once[name] = time.perf_counter() - began
    count = len(setting.labels)
    strongest = {name: np.empty(count) for name in methods}
    each = dict.fromkeys(methods, 0.0)
    pairs = [("representer", "influence"), ("representer", "closeness"), ("influence", "closeness")]
    correlations = {pair: np.empty(count) for pair in pairs}
    for tests in blocks(count, _BLOCK_TESTS):
        strength = {"closeness": -_distance(setting, tests)}
        for name, method in methods.items():
            began = time.perf_counter()
            strength[name] = np.abs(method.values(tests))
            each[name] += (time.perf_counter() - began) / count
            strongest[name][tests] = strength[name].max(axis=0)
        for one, other in pairs:
            for t in range(tests.start, tests.stop):
                columns = strength[one][:, t - tests.start], strength[other][:, t - tests.start]
                correlations[one, other][t] = spearmanr(*columns).statistic
    return Comparison(
        strongest=strongest,
        seconds_once=once,
        seconds_each=each,
        correlations=correlations,
        example=_example(setting, methods),
    )


def findings(comparison: Comparison) -> list[Finding]:
    """Report a comparison.

    Returns:
        For each method: `seconds_once`, `seconds_each`, and `nothing_said`, the share of test rows
        whose strongest value is negligible. For each pair: the mean of `spearman`.
    """
    found = []
    for method, strongest in comparison.strongest.items():
        for measure, value in (
            ("seconds_once", comparison.seconds_once[method]),
            ("seconds_each", comparison.seconds_each[method]),
            ("nothing_said", unexplained_share(strongest)),
        ):
            found.append(_finding(method, measure, value, len(strongest)))
    for (one, other), values in comparison.correlations.items():
        mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
        found.append(_finding(f"{one} x {other}", "spearman", mean, len(values), spread))
    return found


def negligible(strongest: Floats) -> float:
    """Return the value up to which a training row says nothing: a thousandth of the strongest."""
    return float(_NEGLIGIBLE * strongest.max())


def unexplained_share(strongest: Floats) -> float:
    """Return the share of test rows whose strongest value [T] is negligible."""
    return float((strongest <= negligible(strongest)).mean())


def _finding(
    subject: str, measure: str, value: float, rows: int, spread: float | None = None
) -> Finding:
    return Finding(subject=subject, part="", measure=measure, value=value, spread=spread, rows=rows)


class Method(Protocol):
    """A method that measures what training rows contribute to test rows."""

    def values(self, tests: slice) -> Floats:
        """Return the values [N, T] of all training rows for some test rows."""


class RepresenterValues:
    """alpha_ic (f_i . f_t) for the predicted class c."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        parts = [setting.rest.alpha(rows, targets) for rows, targets in _rows(setting.objective)]
        self._alpha = torch.cat(parts)

    def values(self, tests: slice) -> Floats:
        """Return values [N, T]; above 0: the training row supports the prediction."""
        features = torch.from_numpy(self._setting.features[tests])
        predicted = self._setting.rest.outputs(features).argmax(dim=1)
        products = torch.cat([rows @ features.T for rows, _ in _rows(self._setting.objective)])
        values: Floats = (products.double() * self._alpha[:, predicted]).numpy()
        return values


class InfluenceOnLoss:
    """-grad L_t^T H^-1 grad L_i, where L_t is the cross-entropy of the label."""

    def __init__(self, setting: Setting, weights: Tensor | None = None) -> None:
        """Factor the Hessian.

        Args:
            setting: training and test rows.
            weights: [C, D] of the layer; None: the weights at rest.
        """
        self._setting = setting
        self._weights = setting.rest.weights if weights is None else weights.double()
        self._influence = Influence(setting.objective, setting.objective.at(self._weights))

    def values(self, tests: slice) -> Floats:
        """Return values [N, T]; above 0: more weight on the training row would raise the loss."""
        features = torch.from_numpy(self._setting.features[tests])
        pulls = (features.double() @ self._weights.T).softmax(dim=1)
        labels = torch.from_numpy(self._setting.labels[tests]).unsqueeze(1)
        pulls = pulls.scatter_add(1, labels, -torch.ones_like(pulls[:, :1]))
        parts = list(self._influence.on_test_rows(features, pulls))
        values: Floats = torch.cat(parts).numpy()
        return values


def _example(setting: Setting, methods: Mapping[str, Method]) -> Example:
    predicted = setting.rest.outputs(torch.from_numpy(setting.features)).argmax(dim=1).numpy()
    position = setting.example
    if position is None:
        position = int((predicted != setting.labels).argmax())
    only = slice(position, position + 1)
    return Example(
        position=position,
        label=int(setting.labels[position]),
        predicted=int(predicted[position]),
        distance=_distance(setting, only)[:, 0],
        values={name: method.values(only)[:, 0] for name, method in methods.items()},
    )


def _distance(setting: Setting, tests: slice) -> Floats:
    """Return the Euclidean distances [N, T] between features."""
    features = torch.from_numpy(setting.features[tests])
    exact = "donot_use_mm_for_euclid_dist"  # matrix products give equal rows a distance above 0
    parts = [
        torch.cdist(rows, features, compute_mode=exact) for rows, _ in _rows(setting.objective)
    ]
    distance: Floats = torch.cat(parts).double().numpy()
    return distance


def _rows(objective: Objective) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features and targets of the training rows, block by block."""
    for block in blocks(objective.features.shape[0], _BLOCK_ROWS):
        yield (
            torch.from_numpy(objective.features[block]),
            torch.from_numpy(objective.targets[block]),
        )
