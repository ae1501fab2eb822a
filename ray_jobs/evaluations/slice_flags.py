"""The flags of `evaluate slices`."""

from dataclasses import dataclass, field

import tyro

from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.night_flags import MachineFlags
from scoring import registry
from scoring.analysis import windows
from scoring.errors import UnknownName, UserError
from scoring.spec import Signal
from scoring.store.keys import SPLITS, Split


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way of training on a slice."""

    heavy: bool = False
    """With heavy augmentation and dropout."""
    noise: float = 0.0
    """Share of wrong labels."""

    @property
    def name(self) -> str:
        """What subjects say of it; "" of the usual way."""
        return " heavy" * self.heavy + f" {100 * self.noise:g} % noise" * bool(self.noise)


@dataclass(frozen=True, kw_only=True)
class SlicesFlags(PublishedFlags):
    """Which slices of which rankings, and how nets are trained on them."""

    split: Split = "train"
    """Whose examples are trained on; those of the other split judge."""
    metrics: tuple[str, ...] = windows.DEFAULT_METRICS
    """Metrics to slice the rankings of."""
    within_classes: bool = False
    """Rank every example within its class, so that slices hold all classes."""
    window: int = 5000
    """Train on so many consecutive examples; 0: no windows."""
    step: int | None = None
    """From one window to the next, in examples; default: --window."""
    sizes: tuple[int, ...] = (500, 1000, 2000, 5000, 10_000, 20_000)
    """Train on so many of the most and of the least prototypical examples, and on as many drawn at
    random; sizes beyond the ranking are left out."""
    prototypical: float = 25.0
    """Percent of the other split that count as prototypical there."""
    heavy: bool = False
    """Train on every slice once more, with heavy augmentation and dropout."""
    label_noise: float = 0.0
    """Train on every slice once more, with this share of its labels wrong."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the nets; figures are means over them."""
    robustness: tuple[str, ...] = windows.DEFAULT_ROBUSTNESS
    """Metrics of the distance to the boundary, measured for nets trained on windows; none: pass
    the flag without a name."""
    attacked: int = 500
    """Examples that --robustness is measured on, taken evenly from the other split."""
    run: str = "base"
    """The run that nets are like: the base model of the published scores, or a run's key."""
    net: str = ""
    """Another net than its."""
    recipe: str = ""
    """Another recipe than its."""
    epochs: int | None = None
    """Train for so many epochs, not the recipe's."""
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    @property
    def other(self) -> Split:
        """The split that judges."""
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
            raise UserError(f"--seeds: expected numbers from 0 on, got {got}")
        least = {"window": 0, "step": 1, "attacked": 1, "epochs": 1}
        for name, number in least.items():
            if (got := getattr(self, name)) is not None and got < number:
                raise UserError(f"--{name}: expected a number from {number} on, got {got}")
        if bad := [size for size in self.sizes if size < 1]:
            raise UserError(f"--sizes: expected numbers above 0, got {bad[0]}")
        if not self.window and not self.sizes:
            raise UserError("--sizes: expected a number with --window 0, got none")
        if not 0 <= self.label_noise < 1:
            raise UserError(f"--label-noise: expected a share in [0, 1), got {self.label_noise}")
        if not 0 < self.prototypical <= 100:
            raise UserError(
                f"--prototypical: expected a percentage above 0, got {self.prototypical}"
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
        """The ways of training on a slice."""
        found = [Variant()]
        found += [Variant(heavy=True)] if self.heavy else []
        return found + ([Variant(noise=self.label_noise)] if self.label_noise else [])
