"""The flags that name a dataset and choose its examples."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from ray_jobs.terminal.given_names import check_length, check_name, refuse_secrets
from ray_jobs.terminal.shared_flags import by_default
from scoring.data.altered import Corrupted, Relabelled
from scoring.data.image_folder import ImageFolderSource
from scoring.data.images import MAX_PIXELS, MOST_PIXELS, parse_size
from scoring.data.named import LOADERS, NamedSource
from scoring.data.only_classes import OnlyClasses
from scoring.data.parquet_source import ParquetSource
from scoring.data.sources import Source
from scoring.errors import BadData, UnknownName, UserError
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """The examples to score."""

    dataset: str = "digits"
    """digits, mnist, fashion_mnist, cifar10, cifar100, image_folder or parquet."""
    data_root: Annotated[str, by_default("")] = ""
    """Folder of the dataset's files; for image_folder, it holds <split>/<class>/<image>."""
    name: Annotated[str, by_default("--dataset, or the file's or folder's name")] = ""
    """Name of the dataset in the store."""
    train: Annotated[str, by_default("")] = ""
    """parquet: training split, a file, folder (without subfolders) or glob, local or s3://."""
    test: Annotated[str, by_default("")] = ""
    """parquet: test split, in the same forms."""
    image_column: str = "image"
    """parquet: images in PNG, JPEG, JPEG 2000, WebP, GIF, BMP, TIFF, PPM or AVIF."""
    text_column: Annotated[str, by_default("none")] = ""
    """parquet: texts in UTF-8, instead of images."""
    text_tokens: int = 256
    """With --text-column: words and punctuation marks that a net sees of a text.
    Longer texts lose their middle."""
    label_column: str = "label"
    """parquet: class name, or class index from 0; null if unknown."""
    id_column: Annotated[str, by_default("none")] = ""
    """parquet: your own ids, shown as `name` in the tables."""
    class_names: Annotated[tuple[str, ...], by_default("")] = ()
    """parquet: class names, by index."""
    image_size: str = "auto"
    """HxW: resize the short side and crop the centre.
    auto: expect images of one size."""
    channels: Literal["auto", "1", "3"] = "auto"
    """1: grey. 3: colour. auto: as in the first images."""
    max_pixels: int = MAX_PIXELS
    """An image with more pixels counts as undecodable, so that no file can fill the memory."""
    limit_train: Annotated[int | None, by_default("all")] = None
    """Use only the first N rows of the training source."""
    limit_test: Annotated[int | None, by_default("all")] = None
    """Use only the first N rows of the test source."""
    shard_rows: int = 2000
    """Rows per shard: the unit of work, of resuming, and of what an appended row costs."""
    max_corrupt: float = 0.05
    """Refuse a split if a larger share of its images or texts cannot be decoded."""
    only_classes: Annotated[tuple[str, ...], by_default("all")] = ()
    """Keep only these classes, by name. Publishes as NAME-CLASS-CLASS."""
    relabel: float = 0.0
    """Relabel this share of the training rows at random, to test which metrics find them.
    Publishes as NAME-relabelled-PERCENT."""
    relabel_classes: Annotated[tuple[str, ...], by_default("all")] = ()
    """--relabel only rows of these classes: A to any class at random, A=B to class B."""
    corrupted_copies: bool = False
    """Add copies of the test images under each corruption of MNIST-C to the test split.
    Publishes as NAME-c. --limit-test counts images before copying."""
    alter_seed: int = 0
    """Seed of --relabel and --corrupted-copies."""

    def check(self) -> None:
        """Refuse what can be refused without reading the data.

        Raises:
            UserError: naming the flag.
        """
        for flag, limit in (("--limit-train", self.limit_train), ("--limit-test", self.limit_test)):
            if limit is not None and limit <= 0:
                raise UserError(f"{flag}: expected a number of rows above 0, got {limit}")
        if self.shard_rows <= 0:
            raise UserError(f"--shard-rows: expected a number above 0, got {self.shard_rows}")
        for flag, share in (("--max-corrupt", self.max_corrupt), ("--relabel", self.relabel)):
            if not 0 <= share <= 1:
                raise UserError(f"{flag}: expected a share in [0, 1], got {share}")
        if len({*self.only_classes}) == 1:
            raise UserError(f"--only-classes: expected two or more, got {self.only_classes[0]!r}")
        if self.text_tokens <= 0:
            raise UserError(f"--text-tokens: expected a number above 0, got {self.text_tokens}")
        for flag, given in (
            ("--image-column", self.image_column != DataFlags.image_column),
            ("--image-size", self.image_size != DataFlags.image_size),
            ("--channels", self.channels != DataFlags.channels),
            ("--max-pixels", self.max_pixels != DataFlags.max_pixels),
            ("--corrupted-copies", self.corrupted_copies),
        ):
            if self.text_column and given:
                raise UserError(f"{flag}: expected images, got --text-column {self.text_column}")
        if not 0 < self.max_pixels <= MOST_PIXELS:
            raise UserError(
                f"--max-pixels: expected a number from 1 to {MOST_PIXELS}, got {self.max_pixels}"
            )
        if self.relabel_classes and not self.relabel:
            raise UserError("--relabel-classes: expected --relabel with a share above 0, got none")
        if self.relabel and self.corrupted_copies:
            raise UserError("--relabel: expected no --corrupted-copies, got both")
        if self.image_size != "auto":
            parse_size(self.image_size)
        if len(set(self.class_names)) < len(self.class_names):
            raise UserError("--class-names: expected every name once, got one twice")
        if self.name:
            check_name("--name", self.name)
        for flag, uri in (
            ("--data-root", self.data_root),
            ("--train", self.train),
            ("--test", self.test),
        ):
            refuse_secrets(flag, uri)

    def limit(self, split: Split) -> int | None:
        """Return the limit of a split, as given."""
        return self.limit_train if split == "train" else self.limit_test

    def first(self, split: Split) -> int | None:
        """Return how many rows to take from the opened source; None: all."""
        return None if self.corrupted_copies and split == "test" else self.limit(split)

    def source(self) -> Source:
        """Open the source that the flags describe.

        Raises:
            UserError: an unknown dataset, a missing flag, or a flag that the dataset does not take.
        """
        opened = self._altered(self._open())
        check_length("--name", opened.name)
        for datasets, names in _ONLY_WITH.items():
            given = [name for name in names if getattr(self, name) != getattr(DataFlags, name)]
            if given and self.dataset not in datasets:
                raise UserError(
                    f"--{given[0].replace('_', '-')}: expected with --dataset "
                    f"{' or '.join(datasets)}, got --dataset {self.dataset}"
                )
        return opened

    def _altered(self, source: Source) -> Source:
        if self.only_classes:
            source = OnlyClasses(source=source, classes=self.only_classes)
        if self.relabel:
            return Relabelled(
                source=source,
                share=self.relabel,
                only=self.relabel_classes,
                seed=self.alter_seed,
            )
        if self.corrupted_copies:
            return Corrupted(source=source, rows=self.limit_test, seed=self.alter_seed)
        return source

    def _open(self) -> Source:
        if self.dataset not in _OPENED_BY:
            raise UnknownName("--dataset", self.dataset, _OPENED_BY)
        return _OPENED_BY[self.dataset](self)


def _parquet(flags: DataFlags) -> Source:
    for flag, uri in (("--train", flags.train), ("--test", flags.test)):
        if not uri:
            raise BadData(f"{flag}: expected a file, folder or glob of Parquet, got none")
    return ParquetSource(
        name=flags.name or _stem(flags.train),
        train=flags.train,
        test=flags.test,
        image_column=flags.image_column,
        text_column=flags.text_column,
        text_tokens=flags.text_tokens,
        label_column=flags.label_column,
        id_column=flags.id_column,
        class_names=flags.class_names,
        image_size=flags.image_size,
        channels=flags.channels,
        shard_rows=flags.shard_rows,
        max_pixels=flags.max_pixels,
    )


def _image_folder(flags: DataFlags) -> Source:
    if not flags.data_root:
        raise BadData("--data-root: expected the folder that holds train/ and test/")
    return ImageFolderSource(
        name=flags.name or _stem(flags.data_root),
        data_root=flags.data_root,
        image_size=flags.image_size,
        channels=flags.channels,
        shard_rows=flags.shard_rows,
        max_pixels=flags.max_pixels,
    )


def _named(flags: DataFlags) -> Source:
    return NamedSource(
        name=flags.name or flags.dataset,
        dataset=flags.dataset,
        data_root=flags.data_root,
        shard_rows=flags.shard_rows,
    )


_OPENED_BY: dict[str, Callable[[DataFlags], Source]] = {
    **dict.fromkeys(LOADERS, _named),
    "image_folder": _image_folder,
    "parquet": _parquet,
}
"""What opens the source of each dataset that --dataset may name."""

_ONLY_WITH = {
    ("parquet",): (
        "train",
        "test",
        "image_column",
        "text_column",
        "text_tokens",
        "label_column",
        "id_column",
        "class_names",
    ),
    ("image_folder", "parquet"): ("image_size", "channels", "max_pixels"),
}
"""Flags that only some datasets take."""


def _stem(uri: str) -> str:
    """Return the last telling part of a URI: no wildcard, no train, test or data."""
    for part in reversed(uri.partition("://")[2].split("/") if "://" in uri else uri.split("/")):
        literal = re.split(r"[*?\[]", part)[0].removesuffix(".parquet")
        name = re.sub(r"[^\w.-]+", "-", literal).strip("._-")
        if name and name not in {"train", "test", "data"}:
            return name
    return "dataset"
