"""What metrics are and what they fold, as frozen data.

Glossary of shapes: N rows, C classes, M models, H x W x D image height, width, channels.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from scoring.arrays import Floats, Ints


class Signal(StrEnum):
    """What a metric folds; runs are chosen by the fleet, outputs are made once for all metrics."""

    BASE = "base"
    """The base model itself (attacks)."""
    ENSEMBLE = "ensemble"
    """Logits of independently trained models."""
    PAIRS = "pairs"
    """Logits before and after fine-tuning on the holdout."""
    PRIVATE = "private"
    """Logits of DP-SGD models, with the epsilon each spent."""
    REPRESENTER = "representer"
    """Logits of the base run once its last layer is at rest under an L2 penalty."""
    CHECKPOINTS = "checkpoints"
    """Logits and input gradients at the epochs of base runs, in order, one run after the other."""


InputGradient = Literal["label", "predicted", "log_label", "log_predicted"]
"""What is derived by the image: the logit or the log-probability, of the label or of the class that
the finished run predicts."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """N examples on their way through metrics; row i of every field is the same example."""

    ids: Ints
    """[N] int64 example ids."""
    labels: Ints
    """[N] int64 class, -1 where unknown."""
    inputs: Tensor | None = None
    """What nets take: images [N, D, H, W] float32 in [0, 1], or texts [N, L] int64 token ids; None
    for metrics that fold logits."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A place on the way of a training run."""

    run: int
    """Which run of several, from 0."""
    epoch: int
    """1 for the first that was kept."""
    epochs: int
    """How many were kept."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What one run says about a batch."""

    logits: Tensor
    """[N, C] float32."""
    before: Tensor | None = None
    """[N, C] float32: the parent's logits (PAIRS)."""
    epsilon: float | None = None
    """Epsilon actually spent (PRIVATE)."""
    alpha_scale: float | None = None
    """1 / (2 lambda N): alpha over the error that it comes from (REPRESENTER)."""
    checkpoint: Checkpoint | None = None
    """Where in training (CHECKPOINTS)."""
    gradients: Mapping[InputGradient, Tensor] = field(default_factory=dict)
    """[N, H x W] float32 each, means over colour channels (CHECKPOINTS)."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a metric says of N examples."""

    value: Floats
    """[N] float64 in the metric's unit, NaN where `status` says why there is none."""
    spread: Floats | None = None
    """[N] float64: standard deviation of the value over runs, where there are several."""
    tiebreak: Floats | None = None
    """[N] float64, high = more prototypical: orders rows of equal value."""
    status: npt.NDArray[np.str_] | None = None
    """[N]: "" or the reason why `value` is NaN; None: all ""."""


@dataclass(frozen=True)
class Passes:
    """Cost of a metric per example and model: forward and backward passes through the net."""

    forward: float
    backward: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric: its declaration, and pure functions over one batch.

    A metric that folds outputs gives `start(config, batch, classes) -> state`,
    `update(state, output) -> state` for each run (or checkpoint) in turn and `finish(state) ->
    Columns`.
    A metric of the BASE signal gives `score(config, batch, model) -> Columns` instead.
    """

    name: str
    summary: str
    """One line for tables and help."""
    version: int
    """Raise it whenever values change: it is part of every score's key."""
    signal: Signal
    config: type[Any]
    """A frozen dataclass whose defaults are the documented choice."""
    unit: str
    prototypical: Literal["high", "low"]
    """Which end of `value` gets the top rank."""
    source: str
    """Paper and section."""
    passes: Callable[[Any], Passes]
    start: Callable[..., Any] | None = None
    update: Callable[..., Any] | None = None
    finish: Callable[..., Columns] | None = None
    score: Callable[[Any, Batch, nn.Module], Columns] | None = None
    gradient: InputGradient | None = None
    """The input gradient that it folds (CHECKPOINTS); None: logits alone."""
    moves_pixels: bool = False
    """It looks for images near an example (BASE)."""
    epochs: Callable[[Any, int], Collection[int]] | None = None
    """(Config, K) to those of the epochs 1 ... K that it folds (CHECKPOINTS); None: all."""
    ranked_by: Literal["value", "class_z"] = "value"
    normalised_in: Literal["label", "predicted"] = "label"
    """The class that class_percentile and class_z are of."""
    published: bool = True
    """False for what only helps to build rows (the predicted class)."""

    @property
    def images_only(self) -> bool:
        """Whether it says nothing of texts, which have no pixels."""
        return self.moves_pixels or self.gradient is not None

    def __post_init__(self) -> None:
        folds = (self.start, self.update, self.finish)
        scores = self.signal is Signal.BASE
        if scores != (self.score is not None) or scores == all(f is not None for f in folds):
            raise TypeError(
                f"{self.name}: expected score() for the base signal, else start(), update() "
                "and finish()"
            )

    def oriented(self, values: Floats) -> Floats:
        """Values of the metric turned so that high = prototypical."""
        return values if self.prototypical == "high" else -values
