"""The flags of `plan` and `rescore`: the whole configuration of a night."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from datetime import UTC, datetime
from datetime import date as Day
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from ray_jobs.terminal.cap_flags import CapFlags
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.given_names import check_name, refuse_secrets
from ray_jobs.terminal.shared_flags import AllowedNets, StoreUri, by_default
from scoring.errors import UserError
from scoring.registry import metrics
from scoring.runs.fleet import FOLDS
from scoring.store.keys import SPLITS, Split
from scoring.store.scratch import check_scratch

Flags = TypeVar("Flags", bound="NightFlags")
_GB = 1 << 30
_RETRAIN_FROM = {"reuse": math.inf, "retrain": -1.0}


@dataclass(frozen=True, kw_only=True)
class FleetFlags:
    """The models that score the examples."""

    fleet: str = "demo"
    """demo (about 25 runs), standard (about 80) or paper (hundreds)."""
    net: Annotated[str, by_default("by the examples")] = ""
    """whitened_cnn, small_cnn, paper_cnn, resnetv2, lenet5, mlp or a torchvision classifier for
    images.
    lstm or bag_of_embeddings for texts.
    package.module:factory for your own."""
    recipe: Annotated[str, by_default("by fleet and examples")] = ""
    """smoke, quick, swift, text, memorise, short_cifar, paper_mnist, paper_cifar or vog_cifar."""
    epochs: Annotated[int | None, by_default("the recipe's")] = None
    """Number of epochs to train."""
    train_batch_rows: Annotated[int | None, by_default("the recipe's")] = None
    """Examples per training batch."""
    ensemble: Literal["subsets", "seeds"] = "subsets"
    """subsets: members differ in capacity, training subset and seed.
    seeds: members differ in seed alone, so that none leaves out a row."""
    folds: Annotated[int | None, by_default(f"{FOLDS}; none with --ensemble seeds")] = None
    """Members of a round of --ensemble subsets: each leaves out another of so many parts of the
    training rows. The fleet's members are rounded up to whole rounds."""
    representer_lambda: float = 0.003
    """L2 penalty of the base model's last layer at rest (representer_self, explain)."""
    seed: int = 0
    """First seed of the fleet."""
    models: str = "reuse"
    """reuse: the fleet behind the published scores.
    retrain: a fleet trained on today's data.
    retrain-if-changed=FRACTION: retrain once this share of the training rows has changed."""
    import_runs: Annotated[str, by_default("none")] = ""
    """Manifest (JSON) of your own checkpoints, used as base model and ensemble."""
    allow_nets: AllowedNets = ()
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of training. auto: bfloat16 where it pays on this machine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train and score on. auto: cuda if this machine has a GPU."""
    threads: Annotated[int | None, by_default("1")] = None
    """CPU threads per run. Results depend on it, since sums round differently."""

    def check(self) -> None:
        """Refuse values that no training can use.

        Raises:
            UserError: naming the flag.
        """
        for flag, number in (
            ("--threads", self.threads),
            ("--epochs", self.epochs),
            ("--train-batch-rows", self.train_batch_rows),
        ):
            if number is not None and number <= 0:
                raise UserError(f"{flag}: expected a number above 0, got {number}")
        self._check_folds()
        if not 0 < self.representer_lambda < math.inf:
            got = self.representer_lambda
            raise UserError(f"--representer-lambda: expected a number above 0, got {got}")
        refuse_secrets("--import-runs", self.import_runs)
        self.retrain_from()

    def _check_folds(self) -> None:
        if self.folds is None:
            return
        if self.ensemble == "seeds":
            raise UserError(f"--folds: expected none with --ensemble seeds, got {self.folds}")
        if self.folds < 2:
            raise UserError(f"--folds: expected 2 or more, got {self.folds}")

    def retrain_from(self) -> float:
        """Return the share of changed rows from which on the fleet is retrained; infinite: never.

        Raises:
            UserError: --models has none of its forms.
        """
        if self.models in _RETRAIN_FROM:
            return _RETRAIN_FROM[self.models]
        share = re.fullmatch(r"retrain-if-changed=(\d*\.?\d+)", self.models)
        if not share or not 0 < float(share[1]) <= 1:
            raise UserError(
                "--models: expected reuse, retrain or retrain-if-changed=FRACTION with a fraction "
                f"in (0, 1], got {self.models!r}"
            )
        return float(share[1])


@dataclass(frozen=True, kw_only=True)
class MachineFlags:
    """The resources to use; they never change a result."""

    address: Annotated[str, by_default("$RAY_ADDRESS, else start Ray here")] = ""
    """Ray cluster to join."""
    cpus: Annotated[int | None, by_default("all")] = None
    """CPUs of a Ray that is started here."""
    gpus_per_run: float = 0.25
    """Share of a GPU for each training run."""
    gpus_per_scorer: float = 0.5
    """Share of a GPU for each scoring actor."""
    train_memory_gb: float = 8.0
    """Decoded training data to hold in memory; beyond it, map a file in --scratch."""
    scratch: Annotated[str, by_default("$PROTOSCORE_SCRATCH, else $TMPDIR, else /tmp")] = ""
    """Folder on each node's disk for decoded training data, features and other temporary files.
    They are removed when the job ends."""
    cache_memory_gb: float = 1.0
    """Memory for weights in each scoring actor."""
    outputs_gb: float = 50.0
    """Keep logits in the store if they all fit in this size."""
    batch_rows: int = 250
    """Examples per forward pass when scoring."""

    @property
    def train_memory_bytes(self) -> int:
        """`--train-memory-gb` in bytes."""
        return int(self.train_memory_gb * _GB)

    @property
    def scratch_folder(self) -> str:
        """`--scratch` as an absolute path; "": none given."""
        return self.scratch and str(Path(self.scratch).absolute())

    @property
    def scratch_here(self) -> str:
        """`--scratch` for this process; "" on a cluster, whose nodes alone must have the folder."""
        joins = self.address or os.environ.get("RAY_ADDRESS")
        return "" if joins else self.scratch_folder

    @property
    def cache_bytes(self) -> int:
        """`--cache-memory-gb` in bytes."""
        return int(self.cache_memory_gb * _GB)

    @property
    def outputs_bytes(self) -> int:
        """`--outputs-gb` in bytes."""
        return int(self.outputs_gb * _GB)

    def check(self) -> None:
        """Refuse amounts that no machine can have, and a --scratch that this one does not have.

        Raises:
            UserError: naming the flag.
        """
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise UserError(f"--{name.replace('_', '-')}: expected a number > 0, got {value}")
        check_scratch(self.scratch_here)


@dataclass(frozen=True, kw_only=True)
class NightFlags:
    """The flags of `plan` and `rescore`, except the settings of metrics."""

    store: StoreUri = field(default_factory=default_store)
    metrics: Annotated[tuple[str, ...], by_default("all")] = ()
    """Metrics to compute."""
    splits: tuple[Split, ...] = SPLITS
    """Splits to score; training reads the splits it needs."""
    publish_as: Annotated[str, tyro.conf.arg(name="as"), by_default("the dataset's own")] = ""
    """Publish under this dataset name, next to what is published already."""
    replace: bool = False
    """Replace published scores that were made with other settings."""
    corrections: Annotated[str, by_default("those in force")] = ""
    """File of labels to correct, in CSV, JSON lines or Parquet. Columns: id or name, and label: a
    class by name or index, exclude, or given for the source's own. Corrections stay in force until
    a later file changes them. none: drop all of them."""
    apply_verdicts: bool = False
    """Correct labels as reviewers decided (protoscore review --import): relabel and exclude those
    that all reviewers of an example agree on. They stay in force as other corrections do."""
    date: str = "auto"
    """Day that the night counts for, YYYY-MM-DD. auto: today, in UTC."""
    summary: Annotated[str, by_default("none")] = ""
    """File for a summary of the night, as JSON."""
    caps: tyro.conf.OmitArgPrefixes[CapFlags] = field(default_factory=CapFlags)
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)
    fleet: tyro.conf.OmitArgPrefixes[FleetFlags] = field(default_factory=FleetFlags)
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def night(self) -> "NightFlags":
        """Return these flags alone, without those that a subclass adds."""
        return NightFlags(**{flag.name: getattr(self, flag.name) for flag in fields(NightFlags)})

    def night_date(self) -> Day:
        """Return the day that the night counts for.

        Raises:
            UserError: --date is not a date.
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
        refuse_secrets("--corrections", self.corrections)
        if self.apply_verdicts and self.corrections:
            raise UserError("--apply-verdicts: expected it without --corrections, got both")
        if not self.splits:
            raise UserError("--splits: expected train, test or both, got none")
        self.caps.check()
        self.data.check()
        self.fleet.check()
        self.machine.check()


def parse(
    argv: Sequence[str], prog: str, description: str, kind: type[Flags]
) -> tuple[Flags, dict[str, Any]]:
    """Parse a command line into the flags of a night and each metric's Config.

    Every registered metric's Config has flags of its own, such as `--adv-l2.attack`.

    Args:
        argv: the arguments.
        prog: the command as the user types it.
        description: the first lines of the help.
        kind: `NightFlags`, or a subclass with more flags.

    Raises:
        UserError: an unknown flag, or a value that does not fit, such as a name with a slash.
    """
    flat: Any = tyro.conf.OmitArgPrefixes
    configs = [
        (
            name,
            Annotated[spec.config, tyro.conf.arg(help=spec.summary)],
            field(default=spec.config()),
        )
        for name, spec in metrics().items()
    ]
    night = ("night", flat[kind], field(default_factory=kind))  # the help says "night options"
    command_line = make_dataclass("CommandLine", [night, *configs], frozen=True, kw_only=True)
    parsed: Any = parse_flags(command_line, argv, prog, description)
    if parsed.night.publish_as:
        check_name("--as", parsed.night.publish_as)
    return parsed.night, {name: getattr(parsed, name) for name in metrics()}
