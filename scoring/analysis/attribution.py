"""Representer values beside influence functions, on one layer at rest.

Yeh et al. 2018, arXiv:1811.09720: section 4.2 and Table 1 (what an explanation costs), Figure 7
(test examples of which influence functions say nothing, because their loss is flat), and Figure 9
(what is strong is not what is near).
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
from scoring.representers.decomposition import StationaryLayer
from scoring.representers.influence import Influence
from scoring.representers.matrix import Matrix, blocks
from scoring.representers.solve import Objective
from scoring.tables.findings import Finding

MEASURES = ("seconds_once", "seconds_each", "nothing_said", "spearman")
_TOGETHER = 64  # test rows whose values are held for all training rows
_NOTHING = 1e-3


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A layer at rest on N training rows, and T test rows to explain."""

    objective: Objective
    rest: StationaryLayer
    features: Floats32
    """[T, D]."""
    labels: Ints
    """[T]."""
    example: int | None = None
    """Position of the one whose values are all kept; None: the first that the layer takes for
    another class, else the first."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One test row, and what every training row is to it."""

    position: int
    """Among the T."""
    label: int
    predicted: int
    distance: Floats
    """[N]: Euclidean, of features."""
    values: Mapping[str, Floats]
    """[N] by way."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What both ways say of the test rows, and what they cost."""

    strongest: dict[str, Floats]
    """[T] by way: the largest absolute value of any training row."""
    seconds_once: dict[str, float]
    """Before the first explanation."""
    seconds_each: dict[str, float]
    """A test row, all training rows."""
    correlations: dict[tuple[str, str], Floats]
    """[T] by pair: Spearman over training rows, of absolute values and of closeness."""
    example: Example


def compare(setting: Setting) -> Compared:
    """Explain the test rows both ways: the predicted class's output, and the label's loss."""
    ways: dict[str, Way] = {}
    once = {}
    for name, begin in (("representer", RepresenterValues), ("influence", InfluenceOnLoss)):
        began = time.perf_counter()
        ways[name] = begin(setting)
        once[name] = time.perf_counter() - began
    count = len(setting.labels)
    strongest = {name: np.empty(count) for name in ways}
    each = dict.fromkeys(ways, 0.0)
    pairs = [("representer", "influence"), ("representer", "closeness"), ("influence", "closeness")]
    correlations = {pair: np.empty(count) for pair in pairs}
    for tests in blocks(count, _TOGETHER):
        said = {"closeness": -_distance(setting, tests)}
        for name, way in ways.items():
            began = time.perf_counter()
            said[name] = np.abs(way.values(tests))
            each[name] += (time.perf_counter() - began) / count
            strongest[name][tests] = said[name].max(axis=0)
        for one, other in pairs:
            for t in range(tests.start, tests.stop):
                columns = said[one][:, t - tests.start], said[other][:, t - tests.start]
                correlations[one, other][t] = spearmanr(*columns).statistic
    return Compared(
        strongest=strongest,
        seconds_once=once,
        seconds_each=each,
        correlations=correlations,
        example=_example(setting, ways),
    )


def findings(compared: Compared) -> list[Finding]:
    """Figures of a comparison.

    Returns:
        By way: `seconds_once`, `seconds_each`, and `nothing_said`, the share of test rows whose
        strongest value is `negligible`. By pair: mean `spearman`.
    """
    found = []
    for way, strongest in compared.strongest.items():
        for measure, value in (
            ("seconds_once", compared.seconds_once[way]),
            ("seconds_each", compared.seconds_each[way]),
            ("nothing_said", nothing_said(strongest)),
        ):
            found.append(_finding(way, measure, value, len(strongest)))
    for (one, other), values in compared.correlations.items():
        mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
        found.append(_finding(f"{one} x {other}", "spearman", mean, len(values), spread))
    return found


def negligible(strongest: Floats) -> float:
    """A thousandth of the strongest value of any test row: up to it, a value says nothing."""
    return float(_NOTHING * strongest.max())


def nothing_said(strongest: Floats) -> float:
    """Share of test rows [T] that no training row says anything of."""
    return float((strongest <= negligible(strongest)).mean())


def _finding(
    subject: str, measure: str, value: float, rows: int, spread: float | None = None
) -> Finding:
    return Finding(subject=subject, part="", measure=measure, value=value, spread=spread, rows=rows)


class Way(Protocol):
    """A way to say what training rows are to test rows."""

    def values(self, tests: slice) -> Floats:
        """Of all training rows to some test rows, [N, T]."""


class RepresenterValues:
    """alpha_ic (f_i . f_t) of the predicted class c."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        parts = [setting.rest.alpha(rows, targets) for rows, targets in _rows(setting.objective)]
        self._alpha = torch.cat(parts)

    def values(self, tests: slice) -> Floats:
        """[N, T]; above 0: speaks for the prediction."""
        asked = torch.from_numpy(self._setting.features[tests])
        predicted = self._setting.rest.outputs(asked).argmax(dim=1)
        products = torch.cat([rows @ asked.T for rows, _ in _rows(self._setting.objective)])
        values: Floats = (products.double() * self._alpha[:, predicted]).numpy()
        return values


class InfluenceOnLoss:
    """-grad L_t^T H^-1 grad L_i, L_t the cross-entropy of the label."""

    def __init__(self, setting: Setting, weights: Tensor | None = None) -> None:
        """Factor the Hessian.

        Args:
            setting: training and test rows.
            weights: [C, D] of the layer; None: those at rest.
        """
        self._setting = setting
        self._weights = setting.rest.weights if weights is None else weights.double()
        self._influence = Influence(setting.objective, setting.objective.at(self._weights))

    def values(self, tests: slice) -> Floats:
        """[N, T]; above 0: more weight on the training row would raise the loss."""
        asked = torch.from_numpy(self._setting.features[tests])
        pulls = (asked.double() @ self._weights.T).softmax(dim=1)
        labels = torch.from_numpy(self._setting.labels[tests]).unsqueeze(1)
        pulls = pulls.scatter_add(1, labels, -torch.ones_like(pulls[:, :1]))
        parts = list(self._influence.of_training_rows(asked, pulls))
        values: Floats = torch.cat(parts).numpy()
        return values


def _example(setting: Setting, ways: Mapping[str, Way]) -> Example:
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
        values={name: way.values(only)[:, 0] for name, way in ways.items()},
    )


def _distance(setting: Setting, tests: slice) -> Floats:
    """[N, T]: Euclidean, of features."""
    asked = torch.from_numpy(setting.features[tests])
    exact = "donot_use_mm_for_euclid_dist"  # by products, rows that are alike lie apart
    parts = [torch.cdist(rows, asked, compute_mode=exact) for rows, _ in _rows(setting.objective)]
    distance: Floats = torch.cat(parts).double().numpy()
    return distance


def _rows(objective: Objective) -> Iterator[tuple[Tensor, Tensor]]:
    """Features and targets of the training rows, block by block."""
    for block in blocks(objective.features.shape[0], 4096):
        matrices: tuple[Matrix, Matrix] = objective.features, objective.targets
        features, targets = (torch.from_numpy(matrix[block]) for matrix in matrices)
        yield features, targets
