"""The flags that say where the examples are."""

import re
from dataclasses import dataclass
from typing import Literal

from scoring.data.altered import Corrupted, Relabelled
from scoring.data.image_folder import ImageFolderSource
from scoring.data.images import parse_size
from scoring.data.named import NamedSource
from scoring.data.only_classes import OnlyClasses
from scoring.data.parquet_source import ParquetSource
from scoring.data.sources import Source
from scoring.errors import BadData, UserError
from scoring.store.keys import Split


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
    text_column: str = ""
    """parquet: texts in UTF-8, in place of images."""
    text_tokens: int = 256
    """With --text-column: words and marks of a text that a net sees; longer texts lose their
    middle."""
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
    """Refuse a split with a larger share of images or texts that cannot be decoded."""
    only_classes: tuple[str, ...] = ()
    """Only rows of these classes, by name; they are published as a dataset NAME-CLASS-CLASS."""
    relabel: float = 0.0
    """Draw the labels of this share of the training rows anew, to see whether a metric finds them;
    they are published as a dataset NAME-relabelled-PERCENT."""
    corrupted_copies: bool = False
    """Add copies of the test images to the test split, one under each corruption of MNIST-C; they
    are published as a dataset NAME-c, --limit-test counts images before that."""
    alter_seed: int = 0
    """What --relabel and --corrupted-copies draw follows from it."""

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
            ("--corrupted-copies", self.corrupted_copies),
        ):
            if self.text_column and given:
                raise UserError(f"{flag}: expected images, got --text-column {self.text_column}")
        if self.relabel and self.corrupted_copies:
            raise UserError("--relabel: expected it without --corrupted-copies, got both")
        if self.image_size != "auto":
            parse_size(self.image_size)
        if len(set(self.class_names)) < len(self.class_names):
            raise UserError("--class-names: expected every name once, got one twice")
        if self.name and not re.fullmatch(r"\w[\w .-]*", self.name):
            raise UserError(
                f"--name: expected letters, digits and any of ' ._-', got {self.name!r}"
            )

    def limit(self, split: Split) -> int | None:
        """The limit of one split, as the user gave it."""
        return self.limit_train if split == "train" else self.limit_test

    def first(self, split: Split) -> int | None:
        """How many of the opened source's first rows to take; None: all."""
        return None if self.corrupted_copies and split == "test" else self.limit(split)

    def source(self) -> Source:
        """Open the source that the flags describe.

        Raises:
            UserError: unknown dataset, what it needs is missing, or a flag that it does not heed.
        """
        opened = self._altered(self._open())
        for datasets, names in _HEEDED_BY.items():
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
            return Relabelled(source=source, share=self.relabel, seed=self.alter_seed)
        if self.corrupted_copies:
            return Corrupted(source=source, rows=self.limit_test, seed=self.alter_seed)
        return source

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
                text_column=self.text_column,
                text_tokens=self.text_tokens,
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
    ("image_folder", "parquet"): ("image_size", "channels"),
}


def _stem(uri: str) -> str:
    """The last part of a URI that says something."""
    for part in reversed(uri.partition("://")[2].split("/") if "://" in uri else uri.split("/")):
        fixed = re.split(r"[*?\[]", part)[0].removesuffix(".parquet")
        name = re.sub(r"[^\w.-]+", "-", fixed).strip("._-")
        if name and name not in {"train", "test", "data"}:
            return name
    return "dataset"
