"""Images in Parquet: encoded bytes (or the `{bytes, path}` struct of Hugging Face) and a label."""

import fnmatch
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.images import probe
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.errors import BadData
from scoring.keys import Split
from scoring.storage import filesystem

_PROBED = 100


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """A file, folder or glob of Parquet files a split, local or on object storage."""

    name: str
    train: str
    test: str
    image_column: str = "image"
    label_column: str = "label"
    id_column: str = ""
    """The user's own id, kept as `name`; empty: the file name and row number."""
    class_names: tuple[str, ...] = ()
    image_size: str = "auto"
    channels: str = "auto"
    shard_rows: int = 2000

    @property
    def local(self) -> bool:
        """Object storage is read by any worker."""
        return "://" not in self.train

    def pieces(self, split: Split) -> list[Piece]:
        """Pieces of every file in name order, from the footers alone.

        Raises:
            BadData: no file, an unreadable file, a missing column, or no rows at all.
        """
        pieces = []
        for path, fingerprint in self._files(split):
            with self._open(path) as file:
                self._check_columns(path, file)
                rows = file.metadata.num_rows
            pieces += cut(path.rsplit("/", 1)[-1], rows, self.shard_rows, fingerprint)
        if not pieces:
            raise BadData(f"--{split}: expected rows in {self._uri(split)!r}, got none")
        return pieces

    def layout(self) -> Layout:
        """Classes: `class_names`, or the training labels: sorted texts, or 0 to the largest."""
        labels: set[Any] = set()
        images: list[bytes | None] = []
        for path, _ in self._files("train"):
            with self._open(path) as file:
                labels.update(file.read([self.label_column])[0].unique().to_pylist())
                if len(images) < _PROBED:
                    head = next(file.iter_batches(_PROBED, columns=[self.image_column]), None)
                    images += [] if head is None else _encoded(head.column(0))
        try:
            shape = probe(images, size=self.image_size, channels=self.channels)
        except BadData as error:
            raise BadData(f"--image-column {self.image_column}: {error}") from error
        return Layout(classes=self.class_names or _class_names(labels - {None}), shape=shape)

    def read(self, split: Split, piece: Piece) -> Rows:
        """Encoded images, labels and names of one piece."""
        path = next(p for p, _ in self._files(split) if p.rsplit("/", 1)[-1] == piece.file)
        names = [self.id_column] if self.id_column else []
        with self._open(path) as file:
            table = _rows(file, piece, [self.image_column, self.label_column, *names])
        if self.id_column:
            own = [None if v is None else str(v) for v in table[self.id_column].to_pylist()]
        else:
            own = [f"{piece.file}:{piece.start + i}" for i in range(piece.rows)]
        return Rows(
            labels=table[self.label_column].to_pylist(),
            names=own,
            encoded=_encoded(table[self.image_column]),
        )

    def _uri(self, split: Split) -> str:
        return self.train if split == "train" else self.test

    def _files(self, split: Split) -> list[tuple[str, str]]:
        """(path, fingerprint) of the split's files, sorted by name."""
        uri = self._uri(split)
        fs, path = filesystem(uri)
        pattern = path if any(c in path for c in "*?[") else f"{path}/*.parquet"
        try:
            found = (
                {path: fs.info(path)}
                if fs.isfile(path)
                else fs.find(pattern.rsplit("/", 1)[0], maxdepth=1, detail=True)
            )
        except (OSError, ValueError) as error:
            raise BadData(f"--{split}: expected Parquet files, cannot list {uri!r}") from error
        files = []
        for name, info in sorted(found.items()):
            if name == path or fnmatch.fnmatch(name, pattern):
                mark = info.get("ETag") or info.get("mtime") or info.get("LastModified")
                files.append((name, f"{info['size']}-{mark}"))
        if not files:
            raise BadData(f"--{split}: expected Parquet files, got none at {uri!r}")
        return files

    def _open(self, path: str) -> pq.ParquetFile:
        fs, _ = filesystem(self.train)
        try:
            return pq.ParquetFile(fs.open(path, "rb"))
        except (pa.ArrowInvalid, OSError) as error:
            raise BadData(f"expected a Parquet file, got {path!r}") from error

    def _check_columns(self, path: str, file: pq.ParquetFile) -> None:
        flags = {
            "--image-column": self.image_column,
            "--label-column": self.label_column,
            "--id-column": self.id_column,
        }
        have = file.schema_arrow.names
        for flag, column in flags.items():
            if column and column not in have:
                raise BadData(
                    f"{flag}: expected a column of {path!r} ({', '.join(have)}), got {column!r}"
                )


def _rows(file: pq.ParquetFile, piece: Piece, columns: list[str]) -> pa.Table:
    """Rows of a piece, reading only the row groups that hold them."""
    groups: list[int] = []
    first, stop, skip = 0, piece.start + piece.rows, 0
    for group in range(file.metadata.num_row_groups):
        last = first + file.metadata.row_group(group).num_rows
        if last > piece.start and first < stop:
            skip = skip if groups else piece.start - first
            groups.append(group)
        first = last
    return file.read_row_groups(groups, columns=columns).slice(skip, piece.rows)


def _encoded(column: pa.ChunkedArray | pa.Array) -> list[bytes | None]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_struct(column.type):
        return [None if value is None else value.get("bytes") for value in values]
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise BadData(f"expected encoded images (binary), got a column of {column.type}")
    return values


def _class_names(labels: set[Any]) -> tuple[str, ...]:
    if not labels:
        raise BadData("--label-column: expected labels in the training split, got none")
    if all(isinstance(label, str) for label in labels):
        return tuple(sorted(labels))
    if not all(isinstance(label, int) and label >= 0 for label in labels):
        odd = next(v for v in labels if not isinstance(v, int) or v < 0)
        raise BadData(f"--label-column: expected texts or integers from 0, got {odd!r}")
    return tuple(str(i) for i in range(max(labels) + 1))
