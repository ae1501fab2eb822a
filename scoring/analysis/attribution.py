"""Representer values beside influence functions, on one layer at rest.

Yeh et al. 2018, arXiv:1811.09720: section 4.2 and Table 1 (what an explanation costs), Figure 7
(test examples of which influence functions say nothing, because their loss is flat), and Figure 9
(what is strong is not what is near).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr
from torch import Tensor

from scoring.representers.decomposition import StationaryLayer
from scoring.representers.influence import Influence
from scoring.representers.matrix import Matrix, Matrix32, blocks
from scoring.representers.solve import Objective
from scoring.tables.evaluations import Finding

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MEASURES = ("seconds_once", "seconds_each", "nothing_said", "spearman")
_TOGETHER = 64  # test rows whose values are held for all training rows
_NOTHING = 1e-3  # of the strongest value of any test row


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A layer at rest on N training rows, and T test rows to explain."""

    objective: Objective
    rest: StationaryLayer
    features: Matrix32
    """[T, D]."""
    labels: Ints
    """[T]."""


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


def compare(setting: Setting) -> Compared:
    """Explain the test rows both ways: the predicted class's output, and the label's loss."""
    ways, once = {}, {}
    for name, begin in (("representer", _Representer), ("influence", _InfluenceOnLoss)):
        began = time.perf_counter()
        ways[name] = begin(setting)
        once[name] = time.perf_counter() - began
    count = len(setting.labels)
    strongest = {name: np.empty(count) for name in ways}
    each = dict.fromkeys(ways, 0.0)
    pairs = [("representer", "influence"), ("representer", "closeness"), ("influence", "closeness")]
    correlations = {pair: np.empty(count) for pair in pairs}
    for tests in blocks(count, _TOGETHER):
        said = {"closeness": _closeness(setting, tests)}
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
        strongest=strongest, seconds_once=once, seconds_each=each, correlations=correlations
    )


def findings(compared: Compared) -> list[Finding]:
    """Figures of a comparison.

    Returns:
        By way: `seconds_once`, `seconds_each`, and `nothing_said`, the share of test rows whose
        strongest value is below a thousandth of the strongest of all. By pair: mean `spearman`.
    """
    found = []
    for way, strongest in compared.strongest.items():
        silent = float((strongest < _NOTHING * strongest.max()).mean())
        for measure, value in (
            ("seconds_once", compared.seconds_once[way]),
            ("seconds_each", compared.seconds_each[way]),
            ("nothing_said", silent),
        ):
            found.append(_finding(way, measure, value, len(strongest)))
    for (one, other), values in compared.correlations.items():
        mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
        found.append(_finding(f"{one} x {other}", "spearman", mean, len(values), spread))
    return found


def _finding(
    subject: str, measure: str, value: float, rows: int, spread: float | None = None
) -> Finding:
    return Finding(subject=subject, part="", measure=measure, value=value, spread=spread, rows=rows)


class _Representer:
    """alpha_ic (f_i . f_t) of the predicted class c."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        parts = [setting.rest.alpha(rows, targets) for rows, targets in _rows(setting.objective)]
        self._alpha = torch.cat(parts)

    def values(self, tests: slice) -> Floats:
        """[N, T]."""
        asked = torch.from_numpy(self._setting.features[tests])
        predicted = self._setting.rest.outputs(asked).argmax(dim=1)
        products = torch.cat([rows @ asked.T for rows, _ in _rows(self._setting.objective)])
        values: Floats = (products.double() * self._alpha[:, predicted]).numpy()
        return values


class _InfluenceOnLoss:
    """-grad L_t^T H^-1 grad L_i, L_t the cross-entropy of the label."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        point = setting.objective.at(setting.rest.weights)
        self._influence = Influence(setting.objective, point)

    def values(self, tests: slice) -> Floats:
        """[N, T]."""
        asked = torch.from_numpy(self._setting.features[tests])
        pulls = self._setting.rest.outputs(asked).softmax(dim=1)
        labels = torch.from_numpy(self._setting.labels[tests]).unsqueeze(1)
        pulls = pulls.scatter_add(1, labels, -torch.ones_like(pulls[:, :1]))
        parts = list(self._influence.of_training_rows(asked, pulls))
        values: Floats = torch.cat(parts).numpy()
        return values


def _closeness(setting: Setting, tests: slice) -> Floats:
    """[N, T]: minus the Euclidean distance of features."""
    asked = torch.from_numpy(setting.features[tests])
    parts = [-torch.cdist(rows, asked) for rows, _ in _rows(setting.objective)]
    closeness: Floats = torch.cat(parts).double().numpy()
    return closeness


def _rows(objective: Objective) -> Iterator[tuple[Tensor, Tensor]]:
    """Features and targets of the training rows, block by block."""
    for block in blocks(objective.features.shape[0], 4096):
        matrices: tuple[Matrix, Matrix] = objective.features, objective.targets
        features, targets = (torch.from_numpy(matrix[block]) for matrix in matrices)
        yield features, targets
