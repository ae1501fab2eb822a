"""Examples in Parquet: a label, and an image file (or Hugging Face's `{bytes, path}`) or a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from scoring.data.files import SourceFile, is_local, list_files, locate
from scoring.data.images import MAX_PIXELS, probe
from scoring.data.parquet_rows import Footer, distinct, footer, head, reader
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.data.texts import TextShape
from scoring.errors import BadData
from scoring.store.keys import Split, added
from scoring.store.parallel import in_parallel

_PROBED = 100  # images that the shape is taken from
_MOST_CLASSES = 100_000  # a column with more of them holds ids, not labels


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """A file, folder or glob of Parquet files per split, local or on object storage."""

    name: str
    train: str
    test: str
    image_column: str = "image"
    text_column: str = ""
    """Column of texts to use in place of images; empty: images."""
    text_tokens: int = 256
    """Length in tokens to which texts are padded or cut."""
    label_column: str = "label"
    id_column: str = ""
    """Column of the user's own ids, kept as `name`; empty: file name and row number."""
    class_names: tuple[str, ...] = ()
    image_size: str = "auto"
    channels: str = "auto"
    shard_rows: int = 2000
    max_pixels: int = added(MAX_PIXELS)
    """An image with more is undecodable."""

    @property
    def local(self) -> bool:
        """Whether any file is on this machine; any worker can read object storage."""
        return is_local(self.train) or is_local(self.test)

    def pieces(self, split: Split) -> list[Piece]:
        """Return the pieces of every file in name order, reading only the footers.

        Raises:
            BadData: there are no files or no rows, a file cannot be read, or a column is missing
                or of the wrong type.
        """
        files = self._files(split)
        footers = in_parallel(partial(footer, self._uri(split)), files)
        pieces = []
        for file, found in zip(files, footers, strict=True):
            self._check_columns(file, found)
            pieces += cut(file.name, found.rows, self.shard_rows, file.fingerprint)
        if not pieces:
            raise BadData(f"--{split}: expected rows in {self._uri(split)!r}, got none")
        return pieces

    def layout(self) -> Layout:
        """Return the layout, reading all training labels and the first images.

        Classes are `class_names`, else the training labels: sorted strings, or 0 to the largest.
        """
        files = self._files("train")
        by_file = in_parallel(partial(distinct, self.train, column=self.label_column), files)
        labels = set().union(*by_file) - {None}
        classes = self.class_names or _class_names(labels)
        self._check_labels(labels)
        return Layout(classes=classes, shape=self._shape(files))

    def _shape(self, files: Sequence[SourceFile]) -> InputShape:
        if self.text_column:
            return TextShape(tokens=self.text_tokens)
        try:
            return probe(
                self._first_images(files),
                size=self.image_size,
                channels=self.channels,
                max_pixels=self.max_pixels,
            )
        except BadData as error:
            raise BadData(f"--image-column {self.image_column}: {error}") from error

    def labels(self, split: Split, piece: Piece) -> list[int | str | None]:
        """Return the labels of one piece without reading any other column."""
        table = self._columns(split, piece, (self.label_column,))
        return [self._label(value) for value in table[self.label_column].to_pylist()]

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the examples, labels and names of one piece."""
        columns = (self._content_column, self.label_column, self.id_column)
        table = self._columns(split, piece, tuple(column for column in columns if column))
        if self.id_column:
            names = [None if v is None else str(v) for v in table[self.id_column].to_pylist()]
        else:
            names = [f"{piece.file}:{piece.start + i}" for i in range(len(table))]
        return Rows(
            labels=[self._label(value) for value in table[self.label_column].to_pylist()],
            names=names,
            encoded=_encoded(table[self._content_column]),
        )

    @property
    def _content_column(self) -> str:
        return self.text_column or self.image_column

    def _columns(self, split: Split, piece: Piece, columns: tuple[str, ...]) -> pa.Table:
        uri = self._uri(split)
        path = locate(uri, piece.file, f"--{split}", piece.fingerprint)
        return reader(uri, path, piece.fingerprint, columns).rows(piece.start, piece.rows)

    def _uri(self, split: Split) -> str:
        return self.train if split == "train" else self.test

    def _files(self, split: Split) -> list[SourceFile]:
        return list_files(self._uri(split), ".parquet", f"--{split}")

    def _label(self, value: int | str | None) -> int | str | None:
        """Without class names, treat a number as the name of its class, not as a class index."""
        if value is None or isinstance(value, str):
            return value
        return int(value) if self.class_names else str(int(value))

    def _first_images(self, files: Sequence[SourceFile]) -> list[bytes | None]:
        images: list[bytes | None] = []
        for file in files:
            if len(images) < _PROBED:
                images += _encoded(head(self.train, file, self.image_column, _PROBED))
        return images

    def _check_columns(self, file: SourceFile, found: Footer) -> None:
        types = found.types
        content_flag = "--text-column" if self.text_column else "--image-column"
        flags = {
            content_flag: self._content_column,
            "--label-column": self.label_column,
            "--id-column": self.id_column,
        }
        for flag, column in flags.items():
            if column and column not in types:
                raise BadData(
                    f"{flag}: expected a column of {file.path!r} ({', '.join(types)}), "
                    f"got {column!r}"
                )
            if column in found.repeated:
                raise BadData(
                    f"{flag}: expected one column {column!r} in {file.path!r}, got several"
                )
        content, label = types[self._content_column], types[self.label_column]
        if not (_holds_strings(content) if self.text_column else _holds_images(content)):
            expected = "texts" if self.text_column else "encoded images (binary)"
            raise BadData(
                f"{content_flag}: expected {expected}, got {self._content_column!r} of type "
                f"{content} in {file.path!r}"
            )
        if not _holds_labels(label):
            raise BadData(
                f"--label-column: expected integers or strings, got {self.label_column!r} of type "
                f"{label} in {file.path!r}"
            )

    def _check_labels(self, labels: set[Any]) -> None:
        known = {*self.class_names, *range(len(self.class_names))}
        if self.class_names and (unnamed := labels - known):
            raise BadData(
                f"--class-names: expected a name for every label, got {len(self.class_names)} "
                f"names and the label {min(unnamed, key=str)!r}"
            )


def _encoded(column: pa.ChunkedArray | pa.Array) -> list[bytes | None]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_struct(column.type):
        return [None if value is None else value["bytes"] for value in values]
    if _holds_strings(column.type):
        return [None if value is None else value.encode() for value in values]
    return values


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_images(kind.field("bytes").type)
    kind = _value_type(kind)
    tests = ("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")
    return any(getattr(pa.types, test)(kind) for test in tests)


def _holds_strings(kind: pa.DataType) -> bool:
    kind = _value_type(kind)
    tests = ("is_string", "is_large_string", "is_string_view")
    return any(getattr(pa.types, test)(kind) for test in tests)


def _holds_labels(kind: pa.DataType) -> bool:
    tests = ("is_integer", "is_boolean", "is_null")
    return _holds_strings(kind) or any(getattr(pa.types, test)(_value_type(kind)) for test in tests)


def _value_type(kind: pa.DataType) -> pa.DataType:
    """Look through a dictionary encoding to the type of its values."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _class_names(labels: set[Any]) -> tuple[str, ...]:
    if not labels:
        raise BadData("--label-column: expected labels in the training split, got none")
    strings = all(isinstance(label, str) for label in labels)
    if not strings and (wrong := [v for v in labels if isinstance(v, str) or v < 0]):
        raise BadData(f"--label-column: expected strings or integers from 0, got {wrong[0]!r}")
    classes = len(labels) if strings else int(max(labels)) + 1
    if classes > _MOST_CLASSES:
        raise BadData(
            f"--label-column: expected at most {_MOST_CLASSES:,} classes, got {classes:,}"
        )
    return tuple(sorted(labels)) if strings else tuple(str(i) for i in range(classes))
