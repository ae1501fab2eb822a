"""The flags of `plan` and `rescore`: the whole configuration of a night."""

import math
import re
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime
from datetime import date as Day
from typing import Annotated, Any, Literal

import tyro

from ray_jobs.console import default_store, parse_flags
from scoring.data.image_folder import ImageFolderSource
from scoring.data.images import parse_size
from scoring.data.named import NamedSource
from scoring.data.parquet import ParquetSource
from scoring.data.sources import Source
from scoring.errors import BadData, UserError
from scoring.keys import Split
from scoring.registry import metrics


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """Where the examples are."""

    dataset: str = "digits"
    """digits, mnist, fashion_mnist, cifar10, cifar100, image_folder or parquet."""
    data_root: str = ""
    """Folder with the dataset's files; an image_folder holds <split>/<class>/<image>."""
    name: str = ""
    """What to call the dataset in the store; default: --dataset, or the file's or folder's name."""
    train: str = ""
    """parquet: file, folder (not those below it) or glob of the training split, local or s3://."""
    test: str = ""
    """parquet: file, folder or glob of the test split."""
    image_column: str = "image"
    """parquet: encoded images, any format Pillow reads."""
    label_column: str = "label"
    """parquet: class index from 0, or class name; null where unknown."""
    id_column: str = ""
    """parquet: your own id, kept as `name` in the tables."""
    class_names: tuple[str, ...] = ()
    """parquet: names of the classes by index."""
    image_size: str = "auto"
    """HxW: resize the short side and crop the centre; auto: all images must have one size."""
    channels: Literal["auto", "1", "3"] = "auto"
    """1 grey, 3 colour; auto: what the first images are."""
    limit_train: int | None = None
    """Only the first N rows of the training source."""
    limit_test: int | None = None
    """Only the first N rows of the test source."""
    shard_rows: int = 2000
    """Rows a shard: the unit of work, of resume and of what an appended row costs."""
    max_corrupt: float = 0.05
    """Refuse a split with a larger share of undecodable images."""

    def check(self) -> None:
        """Refuse what can be refused without looking at the data.

        Raises:
            UserError: naming the flag.
        """
        for flag, limit in (("--limit-train", self.limit_train), ("--limit-test", self.limit_test)):
            if limit is not None and limit <= 0:
                raise UserError(f"{flag}: expected a number of rows above 0, got {limit}")
        if self.shard_rows <= 0:
            raise UserError(f"--shard-rows: expected a number above 0, got {self.shard_rows}")
        if not 0 <= self.max_corrupt <= 1:
            raise UserError(f"--max-corrupt: expected a share in [0, 1], got {self.max_corrupt}")
        if self.image_size != "auto":
            parse_size(self.image_size)
        if len(set(self.class_names)) < len(self.class_names):
            raise UserError("--class-names: expected every name once, got one twice")
        if self.name and not re.fullmatch(r"\w[\w .-]*", self.name):
            raise UserError(
                f"--name: expected letters, digits and any of ' ._-', got {self.name!r}"
            )

    def limit(self, split: Split) -> int | None:
        """The limit of one split."""
        return self.limit_train if split == "train" else self.limit_test

    def source(self) -> Source:
        """Open the source that the flags describe.

        Raises:
            UserError: unknown dataset, what it needs is missing, or a flag that it does not heed.
        """
        opened = self._open()
        for datasets, names in _HEEDED_BY.items():
            given = [name for name in names if getattr(self, name) != getattr(DataFlags, name)]
            if given and self.dataset not in datasets:
                raise UserError(
                    f"--{given[0].replace('_', '-')}: expected with --dataset "
                    f"{' or '.join(datasets)}, got --dataset {self.dataset}"
                )
        return opened

    def _open(self) -> Source:
        if self.dataset == "parquet":
            for flag, uri in (("--train", self.train), ("--test", self.test)):
                if not uri:
                    raise BadData(f"{flag}: expected a file, folder or glob of Parquet, got none")
            return ParquetSource(
                name=self.name or _stem(self.train),
                train=self.train,
                test=self.test,
                image_column=self.image_column,
                label_column=self.label_column,
                id_column=self.id_column,
                class_names=self.class_names,
                image_size=self.image_size,
                channels=self.channels,
                shard_rows=self.shard_rows,
            )
        if self.dataset == "image_folder":
            if not self.data_root:
                raise BadData("--data-root: expected the folder that holds train/ and test/")
            return ImageFolderSource(
                name=self.name or _stem(self.data_root),
                data_root=self.data_root,
                image_size=self.image_size,
                channels=self.channels,
                shard_rows=self.shard_rows,
            )
        return NamedSource(
            name=self.name or self.dataset,
            dataset=self.dataset,
            data_root=self.data_root,
            shard_rows=self.shard_rows,
        )


_HEEDED_BY = {
    ("parquet",): ("train", "test", "image_column", "label_column", "id_column", "class_names"),
    ("image_folder", "parquet"): ("image_size", "channels"),
}


_RETRAIN_BEYOND = {"reuse": math.inf, "retrain": -1.0}


@dataclass(frozen=True, kw_only=True)
class FleetFlags:
    """Which models to score with."""

    fleet: str = "demo"
    """demo (about 25 runs), standard (about 80) or paper (hundreds)."""
    net: str = ""
    """paper_cnn, small_cnn, mlp, resnetv2, a torchvision classifier, or package.module:factory."""
    recipe: str = ""
    """smoke, quick, paper_mnist, paper_cifar or vog_cifar; default: what suits fleet and images."""
    ensemble: Literal["subsets", "seeds"] = "subsets"
    """Members differ in capacity, training subset and seed, or in seed alone."""
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
        if self.threads is not None and self.threads <= 0:
            raise UserError(f"--threads: expected a number above 0, got {self.threads}")
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
        if self.max_hours is not None and not 0 < self.max_hours < math.inf:
            raise UserError(f"--max-hours: expected a number > 0, got {self.max_hours}")
        self.data.check()
        self.fleet.check()
        self.machine.check()


def parse(argv: list[str], prog: str, description: str) -> tuple[NightFlags, dict[str, Any]]:
    """Parse a command line into the night's flags and each metric's Config.

    Every registered metric's Config becomes flags of its own: `--adv-l2.attack` and so on.
    """
    night: tuple[str, Any, Any] = (
        "night",
        tyro.conf.OmitArgPrefixes[NightFlags],
        field(default_factory=NightFlags),
    )
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


def _stem(uri: str) -> str:
    """The last part of a URI that says something."""
    for part in reversed(uri.partition("://")[2].split("/") if "://" in uri else uri.split("/")):
        fixed = re.split(r"[*?\[]", part)[0].removesuffix(".parquet")
        name = re.sub(r"[^\w.-]+", "-", fixed).strip("._-")
        if name and name not in {"train", "test", "data"}:
            return name
    return "dataset"
