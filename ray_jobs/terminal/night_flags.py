"""The flags of `plan` and `rescore`: the whole configuration of a night."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from datetime import UTC, datetime
from datetime import date as Day
from typing import Annotated, Any, Literal, TypeVar

import tyro

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.data_flags import DataFlags
from scoring.errors import UserError
from scoring.registry import metrics
from scoring.store.keys import SPLITS, Split

Night = TypeVar("Night", bound="NightFlags")
GB = 1 << 30
_RETRAIN_BEYOND = {"reuse": math.inf, "retrain": -1.0}


@dataclass(frozen=True, kw_only=True)
class FleetFlags:
    """Which models to score with."""

    fleet: str = "demo"
    """demo (about 25 runs), standard (about 80) or paper (hundreds)."""
    net: str = ""
    """paper_cnn, small_cnn, lenet5, mlp, resnetv2, a torchvision classifier, lstm or
    bag_of_embeddings for texts, or package.module:factory."""
    recipe: str = ""
    """smoke, quick, text, memorise, short_cifar, paper_mnist, paper_cifar or vog_cifar; default:
    what suits fleet and examples."""
    epochs: int | None = None
    """Train for so many epochs, not the recipe's."""
    train_batch_rows: int | None = None
    """Train on batches of so many rows, not the recipe's."""
    ensemble: Literal["subsets", "seeds"] = "subsets"
    """Members differ in capacity, training subset and seed, or in seed alone."""
    representer_lambda: float = 0.003
    """L2 penalty under which the base model's last layer is brought to rest, for representer_self
    and explain."""
    seed: int = 0
    """First seed of the fleet."""
    models: str = "reuse"
    """reuse the fleet that the published scores were made with; retrain on today's data; or
    retrain-if-changed=FRACTION: once that share of the rows it was trained on has changed."""
    import_runs: str = ""
    """A manifest (JSON) of your own checkpoints, used as base model and ensemble."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of training; auto: bfloat16 where it pays on this machine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda where this machine has a GPU."""
    threads: int | None = None
    """CPU threads a run, default 1; part of a run's identity, since sums round differently."""

    def check(self) -> None:
        """Raise a `UserError` that names the flag where no training can be given its value."""
        for flag, number in (
            ("--threads", self.threads),
            ("--epochs", self.epochs),
            ("--train-batch-rows", self.train_batch_rows),
        ):
            if number is not None and number <= 0:
                raise UserError(f"{flag}: expected a number above 0, got {number}")
        if not 0 < self.representer_lambda < math.inf:
            got = self.representer_lambda
            raise UserError(f"--representer-lambda: expected a number above 0, got {got}")
        self.retrain_beyond()

    def retrain_beyond(self) -> float:
        """Share of changed rows beyond which the fleet is trained anew; infinite: never.

        Raises:
            UserError: --models is none of its forms.
        """
        if self.models in _RETRAIN_BEYOND:
            return _RETRAIN_BEYOND[self.models]
        share = re.fullmatch(r"retrain-if-changed=(\d*\.?\d+)", self.models)
        if not share or not 0 < float(share[1]) <= 1:
            raise UserError(
                "--models: expected reuse, retrain or retrain-if-changed=FRACTION with a fraction "
                f"in (0, 1], got {self.models!r}"
            )
        return float(share[1])


@dataclass(frozen=True, kw_only=True)
class MachineFlags:
    """How much of the cluster to use; never changes a result."""

    address: str = ""
    """Ray cluster to join; default: RAY_ADDRESS, else a Ray started for this job."""
    cpus: int | None = None
    """CPUs of the Ray started for this job; default: all."""
    gpus_per_run: float = 0.25
    """Share of a GPU that a training run takes."""
    gpus_per_scorer: float = 0.5
    """Share of a GPU that a scoring actor takes."""
    train_memory_gb: float = 8.0
    """Decoded training data held in memory; beyond it, a file on each node's disk is mapped."""
    cache_memory_gb: float = 1.0
    """Weights a scoring actor keeps."""
    outputs_gb: float = 50.0
    """Keep logits in the store while all of them stay below this."""
    batch_rows: int = 250
    """Examples a forward pass when scoring."""

    @property
    def train_memory_bytes(self) -> int:
        """`train_memory_gb` in bytes."""
        return int(self.train_memory_gb * GB)

    @property
    def cache_bytes(self) -> int:
        """`cache_memory_gb` in bytes."""
        return int(self.cache_memory_gb * GB)

    @property
    def outputs_bytes(self) -> int:
        """`outputs_gb` in bytes."""
        return int(self.outputs_gb * GB)

    def check(self) -> None:
        """Refuse amounts that no machine has.

        Raises:
            UserError: naming the flag.
        """
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise UserError(f"--{name.replace('_', '-')}: expected a number > 0, got {value}")


@dataclass(frozen=True, kw_only=True)
class NightFlags:
    """All that `plan` and `rescore` take, metric settings aside."""

    store: str = field(default_factory=default_store)
    """Where artefacts and tables go: a folder or s3://bucket/prefix."""
    metrics: tuple[str, ...] = ()
    """Metrics to compute; default: all."""
    splits: tuple[Split, ...] = SPLITS
    """Splits whose examples are scored; models are trained on what they need."""
    publish_as: Annotated[str, tyro.conf.arg(name="as")] = ""
    """Publish under this dataset name, beside what is there."""
    replace: bool = False
    """Publish over partitions that were made with other settings."""
    date: str = "auto"
    """The day that the night counts for, YYYY-MM-DD; auto: today, in UTC."""
    max_hours: float | None = None
    """Stop after so many hours, at the end of an epoch or a shard; what is complete is published
    and the same command goes on."""
    summary: str = ""
    """Write what came of the night to this file, as JSON."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)
    fleet: tyro.conf.OmitArgPrefixes[FleetFlags] = field(default_factory=FleetFlags)
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def night(self) -> "NightFlags":
        """The night alone, without the flags of a job that takes more."""
        return NightFlags(**{each.name: getattr(self, each.name) for each in fields(NightFlags)})

    def night_date(self) -> Day:
        """The day that the night counts for.

        Raises:
            UserError: --date is no date.
        """
        if self.date == "auto":
            return datetime.now(UTC).date()
        try:
            return Day.fromisoformat(self.date)
        except ValueError:
            raise UserError(f"--date: expected auto or YYYY-MM-DD, got {self.date!r}") from None

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        self.night_date()
        if not self.splits:
            raise UserError("--splits: expected train, test or both, got none")
        if self.max_hours is not None and not 0 < self.max_hours < math.inf:
            raise UserError(f"--max-hours: expected a number > 0, got {self.max_hours}")
        self.data.check()
        self.fleet.check()
        self.machine.check()


def parse(
    argv: Sequence[str], prog: str, description: str, kind: type[Night]
) -> tuple[Night, dict[str, Any]]:
    """Parse a command line into the night's flags and each metric's Config.

    Every registered metric's Config becomes flags of its own: `--adv-l2.attack` and so on.
    """
    annotation: Any = tyro.conf.OmitArgPrefixes
    night: tuple[str, Any, Any] = ("night", annotation[kind], field(default_factory=kind))
    settings = [
        (
            name,
            Annotated[spec.config, tyro.conf.arg(help=spec.summary)],
            field(default=spec.config()),
        )
        for name, spec in metrics().items()
    ]
    both = make_dataclass("Flags", [night, *settings], frozen=True, kw_only=True)
    flags: Any = parse_flags(both, argv, prog, description)
    return flags.night, {name: getattr(flags, name) for name in metrics()}
