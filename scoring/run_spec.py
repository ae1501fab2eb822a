"""One training as frozen, hashable data: the net, how it is trained, and with what privacy.

Field names are part of keys, so they never change.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scoring.left_out import LeftOut
from scoring.store.keys import Split, added


@dataclass(frozen=True, kw_only=True)
class NetSpec:
    """A net by name, how it takes pixels in [0, 1], and the order of its outputs."""

    name: str
    """A net of `scoring.nets`, a torchvision classifier, or `package.module:factory`."""
    width: float = 1.0
    """Factor on the channels of every hidden layer (protoscore's own nets only)."""
    group_norm: bool = False
    """Replace BatchNorm by GroupNorm: DP-SGD needs per-example gradients."""
    mean: tuple[float, ...] = (0.5,)
    """Subtracted from pixels: one value, or one per channel. Fixed, so that no data leaks in."""
    std: tuple[float, ...] = (0.25,)
    """Divides pixels after `mean` is subtracted."""
    class_order: tuple[int, ...] = ()
    """Index of the net's output for each class of the dataset; empty: the same order."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: optimizer, schedule, regularisation and augmentation."""

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    """Momentum of SGD; Adam keeps PyTorch's betas."""
    nesterov: bool = added(default=False)
    """Nesterov's momentum."""
    weight_decay: float = 0.0
    """L2 penalty, as the optimizer applies it."""
    learning_rate_decay: float = 0.0
    """Inverse-time decay per step: rate / (1 + decay * step)."""
    milestones: tuple[int, ...] = ()
    """Epochs after which the learning rate is multiplied by `gamma`."""
    gamma: float = 0.1
    peak: float = added(0.0)
    """Share of all steps after which the learning rate, which rises from 0, is at its highest; from
    there it falls to 0 again, along straight lines. 0: it begins at its highest."""
    batch_rows: int = 128
    min_steps: int = 0
    """Train for at least this many steps: small sets get more epochs."""
    epochs: int = 10
    """Passes over a large set; see `epochs_for`."""
    until_flat: float = 0.0
    """Stop once an epoch's mean loss is not below (1 - until_flat) x the best before it."""
    crop: int = 0
    """Random crop after zero-padding by this many pixels."""
    flip: bool = False
    """Random horizontal flip."""
    dropout: float = 0.0
    """Probability of dropping a unit of the last hidden layer (protoscore's own nets only)."""

    def epochs_for(self, rows: int) -> int:
        """Return the epochs on `rows` rows, a maximum if `until_flat` may stop training earlier."""
        return max(self.epochs, math.ceil(self.min_steps / self.steps_an_epoch(rows)))

    def steps_an_epoch(self, rows: int) -> int:
        """Return the steps of an epoch on `rows` rows, one more than there may be."""
        return max(1, math.ceil(rows / self.batch_rows))


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """The privacy that DP-SGD must guarantee (Abadi et al. 2016, arXiv:1607.00133)."""

    epsilon: float
    """Budget: the noise is the least whose accounted epsilon stays within it."""
    delta: float
    """Probability of exceeding the budget; below 1 / N."""
    max_grad_norm: float = 1.0
    """Each example's gradient is clipped to this L2 norm."""
    accountant: Literal["prv", "rdp"] = "prv"
    """PRV needs 13 % less noise than RDP and reaches epsilon 0.1."""


@dataclass(frozen=True, kw_only=True)
class Representer:
    """How to bring a linear layer to rest under an L2 penalty, on the features it sees.

    Yeh et al. 2018, arXiv:1811.09720, section 3; see `scoring.representers`.
    """

    layer: str = "last"
    """Name of the layer in the net, or `last`."""
    penalty: float = 0.003
    """lambda, the weight of the squared weights; the loss is a mean over rows."""
    targets: Literal["teacher", "labels"] = "teacher"
    """What the layer is fitted to: its own trained outputs, or the labels (last layer only)."""


RunKind = Literal["plain", "finetuned", "private", "imported", "representer"]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training, fully described: the same spec on the same kind of device, the same weights."""

    kind: RunKind
    split: Split
    """The split it trains on."""
    net: NetSpec
    recipe: Recipe = Recipe()
    seed: int = 0
    subset: float = 1.0
    """Share of the rows that a member of an earlier store drew by its seed. No run is trained so
    any more; the field stays because it is part of every key."""
    left_out: LeftOut | None = added(None)
    """The rows of the split that it does not train on; None: it trains on all."""
    parent: "RunSpec | None" = None
    """The run whose weights a fine-tuned or representer run starts from."""
    privacy: Privacy | None = None
    representer: Representer | None = None
    """How to bring one layer of the parent to rest; its other weights stay."""
    weights: str = ""
    """Content hash of an imported run's weights."""
    unseen: bool = added(default=False)
    """An imported run was trained on none of the dataset's rows."""
    threads: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    keep_epochs: bool = False
    """Keep a checkpoint of every epoch, for the metrics that read training dynamics."""

    @property
    def label(self) -> str:
        """Name for logs: kind, split, net, and what else varies."""
        extra = f" epsilon={self.privacy.epsilon:g}" if self.privacy else ""
        extra += f" lambda={self.representer.penalty:g}" if self.representer else ""
        return (
            f"{self.kind} {self.split} {self.net.name} x{self.net.width:g}{extra} seed={self.seed}"
        )

    @property
    def layer_at_rest(self) -> Representer:
        """The layer that a representer run brings to rest; `ValueError` for other runs."""
        if self.representer is None:
            raise ValueError(f"expected a representer run, got {self.label}")
        return self.representer

    @property
    def share(self) -> float:
        """Share of the split's rows that it trains on, on average."""
        return 1 - self.left_out.share if self.left_out else 1.0

    @property
    def tallies(self) -> Split | None:
        """The split of whose examples it keeps a tally over its epochs; None: it keeps none.

        A member of an ensemble, which is trained on the training split, looks at all of that split;
        a fine-tuned run at the split that only its parent was trained on. Where epochs are kept,
        they tell more.
        """
        if self.kind == "finetuned" and self.parent and self.parent.split != self.split:
            return self.parent.split
        is_member = self.kind == "plain" and self.split == "train" and not self.keep_epochs
        return self.split if is_member else None

    def looked_at(self, rows: Mapping[Split, int]) -> float:
        """Return how many rows it looks at after each epoch without training on them, on average.

        Args:
            rows: of each split.
        """
        if self.tallies is None:
            return 0.0
        return rows[self.tallies] * (1 - self.share if self.tallies == self.split else 1.0)

    def splits(self) -> tuple[Split, ...]:
        """Return the splits whose rows shaped the weights, sorted."""
        if self.kind == "imported":
            return ()
        inherited = self.parent.splits() if self.parent else ()
        return tuple(sorted({self.split, *inherited}))
