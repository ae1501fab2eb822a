"""The flags of `evaluate slices`."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.shared_flags import AllowedNets, by_default
from scoring import registry
from scoring.analysis import windows
from scoring.errors import UnknownName, UserError
from scoring.spec import Signal
from scoring.store.keys import SPLITS, Split


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way of training on a slice."""

    heavy: bool = False
    """Whether to train with heavy augmentation and dropout."""
    noise: float = 0.0
    """Share of wrong labels."""

    @property
    def name(self) -> str:
        """Suffix of the subjects of its findings; "" for the usual way."""
        return " heavy" * self.heavy + f" {100 * self.noise:g} % noise" * bool(self.noise)


@dataclass(frozen=True, kw_only=True)
class SlicesFlags(PublishedFlags):
    """The slices to train on, and how to train on them."""

    split: Split = "train"
    """Split to train on. Nets are tested on the other one."""
    metrics: tuple[str, ...] = windows.DEFAULT_METRICS
    """Metrics whose rankings to slice."""
    within_classes: bool = False
    """Rank every example within its class, so that slices hold all classes."""
    window: int = 5000
    """Train on windows of this many consecutive examples; 0: no windows."""
    step: Annotated[int | None, by_default("--window")] = None
    """Examples from one window to the next."""
    sizes: tuple[int, ...] = (500, 1000, 2000, 5000, 10_000, 20_000)
    """Train on this many of the most prototypical, of the least prototypical and of random
    examples. Sizes larger than the ranking are left out."""
    prototypical: float = 25.0
    """Percentage of the other split that counts as prototypical."""
    heavy: bool = False
    """Train on every slice a second time, with heavy augmentation and dropout."""
    label_noise: float = 0.0
    """Train on every slice a second time, with this share of its labels wrong; 0: do not."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds to train with; results are averaged over them."""
    robustness: tuple[str, ...] = windows.DEFAULT_ROBUSTNESS
    """Metrics of the distance to the boundary, for nets trained on windows.
    For none, give the flag without a name."""
    attacked: int = 500
    """Number of examples to measure --robustness on, evenly spaced in the other split."""
    run: str = "base"
    """Run to imitate: base, the base model of the published scores, or a run's key."""
    net: Annotated[str, by_default("--run's")] = ""
    """Net to train."""
    recipe: Annotated[str, by_default("--run's")] = ""
    """Recipe to train with."""
    epochs: Annotated[int | None, by_default("the recipe's")] = None
    """Number of epochs to train."""
    allow_nets: AllowedNets = ()
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    @property
    def other(self) -> Split:
        """The split that nets are tested on."""
        (other,) = (split for split in SPLITS if split != self.split)
        return other

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.metrics:
            raise UserError("--metrics: expected a metric, got none")
        if not self.seeds or min(self.seeds) < 0:
            got = min(self.seeds) if self.seeds else "none"
            raise UserError(f"--seeds: expected numbers of 0 or more, got {got}")
        least = {"window": 0, "step": 1, "attacked": 1, "epochs": 1}
        for name, number in least.items():
            if (got := getattr(self, name)) is not None and got < number:
                raise UserError(f"--{name}: expected {number} or more, got {got}")
        if bad := [size for size in self.sizes if size < 1]:
            raise UserError(f"--sizes: expected numbers above 0, got {bad[0]}")
        if not self.window and not self.sizes:
            raise UserError("--sizes: expected at least one with --window 0, got none")
        if not 0 <= self.label_noise < 1:
            raise UserError(f"--label-noise: expected a share in [0, 1), got {self.label_noise}")
        if not 0 < self.prototypical <= 100:
            raise UserError(
                f"--prototypical: expected a percentage in (0, 100], got {self.prototypical}"
            )
        attacks = [
            name
            for name, spec in registry.metrics().items()
            if spec.signal is Signal.BASE and spec.moves_pixels
        ]
        for name in self.robustness:
            if name not in attacks:
                raise UnknownName("--robustness", name, attacks)
        self.machine.check()

    def variants(self) -> list[Variant]:
        """Return the ways of training on a slice."""
        variants = [Variant()]
        if self.heavy:
            variants.append(Variant(heavy=True))
        if self.label_noise:
            variants.append(Variant(noise=self.label_noise))
        return variants
