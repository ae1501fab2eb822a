"""The runs that a night needs: base model, ensemble, fine-tuned pairs and private models.

The preset `paper` has the sizes of Carlini et al. 2019, section 2, `standard` about a tenth of
them, and `demo` the fewest runs that show every measure.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Literal

from scoring.errors import UnknownName
from scoring.left_out import LeftOut
from scoring.run_spec import NetSpec, Privacy, Recipe, Representer, RunSpec
from scoring.spec import Signal
from scoring.store.keys import SPLITS, Split
from scoring.training.recipes import finetuned, private

EnsembleKind = Literal["subsets", "seeds"]


@dataclass(frozen=True, kw_only=True)
class FleetSize:
    """The number of runs of each kind."""

    bases: int
    """Runs whose epochs are kept; the first is the base model."""
    ensemble: int
    """Members, rounded up to whole rounds of folds."""
    pairs: int
    """Fine-tuned pairs per split."""
    epsilons: tuple[float, ...]
    private_seeds: int
    """Private runs per epsilon."""


PRESETS: dict[str, FleetSize] = {
    "demo": FleetSize(
        bases=1, ensemble=6, pairs=3, epsilons=(0.5, 2.0, 8.0, 32.0), private_seeds=2
    ),
    "standard": FleetSize(
        bases=3,
        ensemble=21,
        pairs=5,
        epsilons=(0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        private_seeds=5,
    ),
    "paper": FleetSize(
        bases=5,
        ensemble=99,
        pairs=100,
        epsilons=(0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
        private_seeds=10,
    ),
}
_WIDTHS = (1.0, 0.5, 1.5, 0.75, 1.25, 2.0)  # the rounds of an ensemble differ in capacity

FOLDS = 3
"""Folds of a round, unless the user asks for another number."""

BY_LABELS = Representer(targets="labels")
"""Shows how hard a row pulls towards its label. A teacher may have memorised a wrong label."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The runs that each signal reads."""

    base: RunSpec
    watched: tuple[RunSpec, ...]
    """Runs whose epochs are kept, or imported checkpoints in the order of their epochs."""
    ensemble: tuple[RunSpec, ...]
    pairs: Mapping[Split, tuple[RunSpec, ...]]
    """Fine-tuned runs by the split they score; `parent` is the other half of the pair."""
    private: tuple[RunSpec, ...]
    representer: RunSpec
    """The base run with its last layer at rest."""

    def runs(self, signal: Signal, split: Split) -> tuple[RunSpec, ...]:
        """Return the runs that a metric of `signal` reads to score `split`."""
        match signal:
            case Signal.BASE:
                return (self.base,)
            case Signal.ENSEMBLE:
                return self.ensemble
            case Signal.PAIRS:
                return self.pairs[split]
            case Signal.PRIVATE:
                return self.private
            case Signal.REPRESENTER:
                return (self.representer,)
            case Signal.CHECKPOINTS:
                return self.watched

    def needed(self, signals: Iterable[Signal], splits: Iterable[Split]) -> tuple[RunSpec, ...]:
        """Return each run that `signals` read on `splits` once, parents before children."""
        needed: dict[RunSpec, None] = {}
        for signal, split in product(signals, splits):
            for run in self.runs(signal, split):
                needed |= dict.fromkeys([run.parent, run] if run.parent else [run])
        return tuple(needed)


Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The part of a spec that fixes the machine, so that what Ray grants never changes a result."""

    device: Device = "cpu"
    dtype: Dtype = "float32"
    threads: int = 1


def preset(name: str) -> FleetSize:
    """Return a fleet size by name.

    Raises:
        UnknownName: there is no such preset.
    """
    if name not in PRESETS:
        raise UnknownName("--fleet", name, PRESETS)
    return PRESETS[name]


def build_fleet(
    size: FleetSize,
    *,
    net: NetSpec,
    recipe: Recipe,
    hardware: Hardware,
    seed: int,
    train_rows: int,
    ensemble: EnsembleKind = "subsets",
    folds: int = FOLDS,
    group_norm: bool = False,
    representer: Representer = BY_LABELS,
) -> Fleet:
    """Specify every run of a fleet.

    Args:
        size: number of runs of each kind.
        net: the base net; ensemble members vary its width.
        recipe: how plain runs train; fine-tuning and DP-SGD derive their recipes from it.
        hardware: part of every spec.
        seed: the first seed; others count up from it.
        train_rows: rows of the training split, which bound delta.
        ensemble: how members differ: `subsets`, in capacity, training subset and seed (section
            2.1); `seeds`, in their seed alone (appendix B).
        folds: members of a round of `subsets`, each of which leaves out another fold of the rows.
        group_norm: private runs need the net's GroupNorm form.
        representer: how to bring the base run's last layer to rest.
    """
    base = RunSpec(
        kind="plain", split="train", net=net, recipe=recipe, seed=seed, **asdict(hardware)
    )
    private_base = replace(base, net=replace(net, group_norm=group_norm))
    delta = delta_for(train_rows)
    return Fleet(
        base=_with_epochs(base),
        watched=tuple(_with_epochs(_reseeded(base, i)) for i in range(size.bases)),
        ensemble=_seeds(base, size.ensemble)
        if ensemble == "seeds"
        else _rounds(base, math.ceil(size.ensemble / folds), folds),
        pairs={split: tuple(_pair(base, split, i) for i in range(size.pairs)) for split in SPLITS},
        private=tuple(
            _private(private_base, i, Privacy(epsilon=epsilon, delta=delta))
            for epsilon in size.epsilons
            for i in range(size.private_seeds)
        ),
        representer=at_rest(_with_epochs(base), representer),
    )


def at_rest(parent: RunSpec, representer: Representer) -> RunSpec:
    """Specify the run that is `parent` with one layer at rest."""
    return replace(
        parent,
        kind="representer",
        split="train",
        subset=1.0,
        left_out=None,
        parent=parent,
        weights="",
        unseen=False,
        privacy=None,
        keep_epochs=False,
        representer=representer,
    )


def _with_epochs(base: RunSpec) -> RunSpec:
    """Keep the epochs of a base run, for the metrics that watch it learn."""
    return replace(base, keep_epochs=True)


def _reseeded(base: RunSpec, index: int) -> RunSpec:
    """Return the base run with another seed; index 0 is the base run itself."""
    return replace(base, seed=base.seed + 3000 + index) if index else base


def _seeds(base: RunSpec, members: int) -> tuple[RunSpec, ...]:
    """Specify members that differ in seed alone, a range apart from the base run's."""
    return tuple(replace(base, seed=base.seed + 1000 + i) for i in range(members))


def _rounds(base: RunSpec, rounds: int, folds: int) -> tuple[RunSpec, ...]:
    """Specify rounds of members; each round is a cross-validation of one net."""
    return tuple(
        replace(
            member,
            net=replace(base.net, width=base.net.width * _WIDTHS[i // folds % len(_WIDTHS)]),
            left_out=LeftOut(seed=base.seed, round=i // folds, fold=i % folds, folds=folds),
        )
        for i, member in enumerate(_seeds(base, rounds * folds))
    )


def _pair(base: RunSpec, scored: Split, index: int) -> RunSpec:
    """Specify a run trained on the `scored` split, its parent, then fine-tuned on the other one.

    The parent of the first pair that scores the training split is the base run itself.
    """
    holdout: Split = "test" if scored == "train" else "train"
    run = replace(base, split=scored, seed=base.seed + index)
    parent = _with_epochs(run) if run == base else run
    return replace(
        run, kind="finetuned", split=holdout, recipe=finetuned(base.recipe), parent=parent
    )


def _private(base: RunSpec, index: int, privacy: Privacy) -> RunSpec:
    return replace(
        base,
        kind="private",
        seed=base.seed + 2000 + index,
        recipe=private(base.recipe),
        privacy=privacy,
        dtype="float32",
    )


def delta_for(rows: int) -> float:
    """Return the largest power of ten below 1 / rows: 1e-5 for the 60 000 of MNIST."""
    return 10.0 ** -(math.floor(math.log10(max(rows, 1))) + 1)
