"""Metrics and the signals they read, as frozen data.

A metric is one of two kinds. A `FoldedMetric` folds a signal: the outputs of runs, one after the
other. A `ModelMetric` scores a batch with the base model itself.

Shapes: N rows, C classes, images of H x W pixels and D channels.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args

from torch import Tensor, nn

from scoring.arrays import Bools, Floats, Ints, Strings
from scoring.statuses import End
from scoring.tally import Tally


class Signal(StrEnum):
    """What a metric reads. The fleet says which runs; their outputs are shared by all metrics."""

    BASE = "base"
    """The base model itself."""
    ENSEMBLE = "ensemble"
    """Logits of independently trained models."""
    PAIRS = "pairs"
    """Logits before and after fine-tuning on the holdout."""
    PRIVATE = "private"
    """Logits of DP-SGD models, with the epsilon that each spent."""
    REPRESENTER = "representer"
    """Logits of the base run with its last layer at rest under an L2 penalty."""
    CHECKPOINTS = "checkpoints"
    """Logits and input gradients after each epoch of base runs, run by run, in order."""


FoldedSignal = Literal[
    Signal.ENSEMBLE, Signal.PAIRS, Signal.PRIVATE, Signal.REPRESENTER, Signal.CHECKPOINTS
]
"""Signals that consist of outputs."""

InputGradient = Literal["label", "predicted", "log_label", "log_predicted"]
"""What to differentiate with respect to the image: the logit or the log-probability, of the label
or of the class that the finished run predicts."""


Purpose = Literal["label errors", "hard", "atypical", "privacy", "robustness"]
"""What a metric is for, in the order in which people are shown metrics: labels that are wrong;
examples that nets find hard to learn or get wrong; examples unlike the others; examples that only
nets without privacy learn; examples close to another class."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """N examples to score; row i of every field is the same example."""

    ids: Ints
    """[N] int64 example ids."""
    labels: Ints
    """[N] int64 class, -1 where unknown."""
    inputs: Tensor | None = None
    """Input of the net: images [N, D, H, W] float32 in [0, 1] or texts [N, L] int64 token ids; None
    for metrics that fold logits."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A position in a training run."""

    run: int
    """Number of the run, from 0."""
    epoch: int
    """Number of the kept epoch, from 1."""
    epochs: int
    """How many epochs the run kept."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Output of one run, or of one of its checkpoints, for a batch."""

    logits: Tensor
    """[N, C] float32."""
    before: Tensor | None = None
    """[N, C] float32, the parent's logits (PAIRS)."""
    seen: Bools | None = None
    """[N] whether each example was among the rows that shaped the run's weights; None: nobody
    knows, or the fold does not read it."""
    tally: Tally | None = None
    """What the run added up of the examples while it trained; None: nothing, or the fold does not
    read it."""
    epsilon: float | None = None
    """Epsilon actually spent (PRIVATE)."""
    alpha_scale: float | None = None
    """1 / (2 lambda N): alpha divided by the error that it is proportional to (REPRESENTER)."""
    checkpoint: Checkpoint | None = None
    """Position in training (CHECKPOINTS)."""
    gradients: Mapping[InputGradient, Tensor] = field(default_factory=dict)
    """[N, H x W] float32 each, mean over colour channels (CHECKPOINTS)."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Scores of N examples."""

    value: Floats
    """[N] float64 in the metric's unit, NaN where `status` says why."""
    spread: Floats | None = None
    """[N] float64, standard deviation of the value over runs; None: the metric has none."""
    tiebreak: Floats | None = None
    """[N] float64, high = more prototypical: orders rows of equal value."""
    status: Strings | None = None
    """[N] "" or the reason why `value` is NaN; None: "" everywhere."""
    classes: Ints | None = None
    """[N, K] classes whose probabilities are kept, ascending, -1 at the end of shorter rows."""
    probabilities: Floats | None = None
    """[N, K] their probabilities, for a table of their own."""
    over_epochs: Floats | None = None
    """[N, K] their probabilities, averaged over the epochs of training."""


@dataclass(frozen=True)
class Passes:
    """Cost of a metric per example and model: forward and backward passes through the net."""

    forward: float
    backward: float = 0.0


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """Nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What every metric declares."""

    name: str
    summary: str
    """One line for tables and help."""
    purpose: Purpose
    version: int
    """Part of every score's key: raise it whenever values change."""
    unit: str
    prototypical: Literal["high", "low"]
    """The end of `value` that is prototypical, and so gets the top rank."""
    source: str
    """Paper and section."""
    config: type[Any] = NoSettings
    """A frozen dataclass; its defaults are the documented choice."""
    ranked_by: Literal["value", "class_z"] = "value"
    normalised_in: Literal["label", "predicted"] = "label"
    """The class within which class_percentile and class_z are taken."""
    statuses: Mapping[str, End] = field(default_factory=dict, hash=False)
    """Statuses that are ranked although there is no value, and at which end."""

    def oriented(self, values: Floats) -> Floats:
        """Return values of the metric with the sign that makes high prototypical."""
        return values if self.prototypical == "high" else -values


State = TypeVar("State")


class Fold(Protocol[State]):
    """Gathers the outputs of runs for a batch, one at a time, and turns them into columns.

    The state is immutable: `update` returns a new one.
    """

    @property
    def gradient(self) -> InputGradient | None:
        """The input gradient that it folds; None: logits alone."""
        return None

    @property
    def reads_seen(self) -> bool:
        """Whether it reads who saw the examples."""
        return False

    @property
    def reads_tally(self) -> bool:
        """Whether it reads what runs added up of the examples while they trained."""
        return False

    def start(self, config: Any, batch: Batch, classes: int) -> State:  # noqa: ANN401
        """Return the state before the first output.

        Args:
            config: an instance of the metric's `config`.
            batch: N examples; their inputs may be missing.
            classes: C.
        """
        ...

    def update(self, state: State, output: Output) -> State:
        """Return the state with one more output."""
        ...

    def finish(self, state: State) -> Columns:
        """Return the scores; `ValueError` if there was no output."""
        ...


@dataclass(frozen=True, kw_only=True)
class FoldedMetric(Declaration):
    """A metric that folds a signal.

    Raises:
        TypeError: the signal is the base model, or cannot have the gradients, the epochs, or who
            saw the examples.
    """

    signal: FoldedSignal
    fold: Fold[Any]
    epochs: Callable[[Any, int], Collection[int]] | None = None
    """From the config and K, the epochs out of 1 ... K to fold (CHECKPOINTS); None: all."""

    def __post_init__(self) -> None:
        if self.signal not in get_args(FoldedSignal):
            raise TypeError(
                f"{self.name}: expected a signal to fold, got {self.signal}; a metric that needs "
                "the base model itself is a ModelMetric"
            )
        needs = "input gradients" if self.gradient else "epochs" if self.epochs else ""
        if needs and self.signal is not Signal.CHECKPOINTS:
            raise TypeError(f"{self.name}: expected checkpoints for {needs}, got {self.signal}")
        if (self.reads_seen or self.reads_tally) and self.signal is Signal.CHECKPOINTS:
            raise TypeError(f"{self.name}: expected finished runs to say what they saw, got epochs")

    @property
    def gradient(self) -> InputGradient | None:
        """The input gradient that it folds; None: logits alone."""
        return self.fold.gradient

    @property
    def reads_seen(self) -> bool:
        """Whether it reads who saw the examples."""
        return self.fold.reads_seen

    @property
    def reads_tally(self) -> bool:
        """Whether it reads what runs added up of the examples while they trained."""
        return self.fold.reads_tally

    @property
    def images_only(self) -> bool:
        """Whether it needs pixels, so that texts have no value."""
        return self.gradient is not None

    def passes(self, config: object) -> Passes:
        """Return the cost per run or checkpoint; a pair is two models."""
        return Passes(
            forward=2 if self.signal is Signal.PAIRS else 1,
            backward=0 if self.gradient is None else 1,
        )

    def reads(self, config: object, checkpoint: Checkpoint) -> bool:
        """Return whether it folds this checkpoint."""
        return self.epochs is None or checkpoint.epoch in self.epochs(config, checkpoint.epochs)


def one_forward_pass(config: object) -> Passes:
    """Return the cost of a metric that needs nothing but the model's logits."""
    return Passes(forward=1)


@dataclass(frozen=True, kw_only=True)
class ModelMetric(Declaration):
    """A metric that scores a batch with the base model itself."""

    signal: ClassVar[Literal[Signal.BASE]] = Signal.BASE
    reads_seen: ClassVar[bool] = False
    reads_tally: ClassVar[bool] = False
    score: Callable[[Any, Batch, nn.Module], Columns]
    """From the config, N examples with inputs and the model, which is left as it was."""
    passes: Callable[[Any], Passes] = one_forward_pass
    """Cost per example, given the config."""
    moves_pixels: bool = False
    """It searches for images near an example."""

    @property
    def images_only(self) -> bool:
        """Whether it needs pixels, so that texts have no value."""
        return self.moves_pixels


Metric = FoldedMetric | ModelMetric
