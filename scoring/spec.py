"""The nouns of protoscore as frozen, JSON-able, hashable data.

Glossary of shapes: N rows, C classes, M models, H x W x D image height, width, channels.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from scoring.keys import SPLITS, Split, digest, jsonable

__all__ = [
    "SPLITS",
    "Batch",
    "Checkpoint",
    "Columns",
    "Floats",
    "InputGradient",
    "Ints",
    "MetricSpec",
    "NetSpec",
    "Output",
    "Passes",
    "Privacy",
    "Recipe",
    "Representer",
    "RunKind",
    "RunSpec",
    "Signal",
    "Split",
    "digest",
    "jsonable",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NetSpec:
    """A network by name, and how pixels in [0, 1] and class order are fitted to it."""

    name: str
    """A net of `scoring.nets`, a torchvision classifier, or `package.module:factory`."""
    width: float = 1.0
    """Multiplies the channels of every hidden layer (protoscore's own nets only)."""
    group_norm: bool = False
    """Replace BatchNorm by GroupNorm: DP-SGD needs per-example gradients."""
    mean: tuple[float, ...] = (0.5,)
    """Subtracted from pixels; one value, or one a channel. Fixed: no data leaks into it."""
    std: tuple[float, ...] = (0.25,)
    """Divides pixels after `mean`."""
    class_order: tuple[int, ...] = ()
    """For class c of the dataset, the index of the net's output; empty: the same order."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: optimizer, schedule, regularisation and augmentation."""

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    """Of SGD; Adam keeps PyTorch's betas."""
    weight_decay: float = 0.0
    """L2 penalty, as the optimizer applies it."""
    learning_rate_decay: float = 0.0
    """Inverse-time decay a step: rate / (1 + decay * step)."""
    milestones: tuple[int, ...] = ()
    """After each of these epochs the learning rate is multiplied by `gamma`."""
    gamma: float = 0.1
    batch_rows: int = 128
    min_steps: int = 0
    """Train small sets for more epochs: at least this many steps."""
    epochs: int = 10
    """Passes over large sets; see `epochs_for`."""
    until_flat: float = 0.0
    """Stop once an epoch's mean loss is not below (1 - until_flat) x the best before it."""
    crop: int = 0
    """Random crop after zero-padding by this many pixels."""
    flip: bool = False
    """Random horizontal flip."""
    dropout: float = 0.0
    """Probability of dropping a unit of the last hidden layer (protoscore's own nets only)."""

    def epochs_for(self, rows: int) -> int:
        """Epochs on `rows` rows: exactly, or at most where `until_flat` may end it before."""
        steps_an_epoch = max(1, math.ceil(rows / self.batch_rows))
        return max(self.epochs, math.ceil(self.min_steps / steps_an_epoch))


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """The privacy that DP-SGD must guarantee (Abadi et al. 2016, arXiv:1607.00133)."""

    epsilon: float
    """Budget; the noise is the least whose accounted epsilon does not exceed it."""
    delta: float
    """Probability of exceeding the budget; below 1 / N."""
    max_grad_norm: float = 1.0
    """Each example's gradient is clipped to this L2 norm."""
    accountant: Literal["prv", "rdp"] = "prv"
    """PRV: 13 % less noise than RDP, and it reaches epsilon 0.1."""


@dataclass(frozen=True, kw_only=True)
class Representer:
    """A linear layer brought to rest under an L2 penalty, on what the rest of its run's net sees.

    Yeh et al. 2018, arXiv:1811.09720, section 3; see `scoring.representers`.
    """

    layer: str = "last"
    """Name of the layer in the net, or `last`."""
    penalty: float = 0.003
    """lambda, of the squared weights; the loss is a mean over rows."""
    targets: Literal["teacher", "labels"] = "teacher"
    """What the layer should give: what it gave before, or the labels (the last layer alone)."""


RunKind = Literal["plain", "finetuned", "private", "imported", "representer"]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training, fully described: same spec, same device kind, same weights."""

    kind: RunKind
    split: Split
    """The split it trains on."""
    net: NetSpec
    recipe: Recipe = Recipe()
    seed: int = 0
    subset: float = 1.0
    """Fraction of the split's rows it trains on, drawn by `seed`."""
    parent: "RunSpec | None" = None
    """Where the weights of a fine-tuned or representer run come from."""
    privacy: Privacy | None = None
    representer: Representer | None = None
    """What becomes of a layer of the parent, whose other weights stay."""
    weights: str = ""
    """Content hash of an imported run's weights."""
    threads: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    keep_epochs: bool = False
    """Keep a checkpoint of every epoch, for the metrics that read training dynamics."""

    @property
    def label(self) -> str:
        """What people call it in logs: kind, split, what varies."""
        extra = f" epsilon={self.privacy.epsilon:g}" if self.privacy else ""
        extra += f" lambda={self.representer.penalty:g}" if self.representer else ""
        return (
            f"{self.kind} {self.split} {self.net.name} x{self.net.width:g}{extra} seed={self.seed}"
        )

    def splits(self) -> tuple[Split, ...]:
        """The splits whose rows shaped the weights, sorted."""
        if self.kind == "imported":
            return ()
        inherited = self.parent.splits() if self.parent else ()
        return tuple(sorted({self.split, *inherited}))


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
    images: Tensor | None = None
    """[N, D, H, W] float32 in [0, 1]; None for metrics that fold logits."""


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
    epochs: Callable[[Any, int], Collection[int]] | None = None
    """(Config, K) to those of the epochs 1 ... K that it folds (CHECKPOINTS); None: all."""
    ranked_by: Literal["value", "class_z"] = "value"
    normalised_in: Literal["label", "predicted"] = "label"
    """The class that class_percentile and class_z are of."""
    published: bool = True
    """False for what only helps to build rows (the predicted class)."""

    def __post_init__(self) -> None:
        folds = (self.start, self.update, self.finish)
        scores = self.signal is Signal.BASE
        if scores != (self.score is not None) or scores == all(f is not None for f in folds):
            raise TypeError(
                f"{self.name}: expected score() for the base signal, else start(), update() "
                "and finish()"
            )
