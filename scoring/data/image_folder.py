"""Images in folders: `<data-root>/<split>/<class>/<file>`, local or on object storage.

Each class folder is one source file in the sense of `scoring.data.sources`: a new image in one
class leaves the pieces of the others as they are.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

from scoring.data.images import probe
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.errors import BadData
from scoring.keys import Split, digest
from scoring.storage import filesystem

_PROBED = 100
_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val")}


@dataclass(frozen=True, kw_only=True)
class ImageFolderSource:
    """One folder a split (`test` may be called `val`), one folder a class below it."""

    name: str
    data_root: str
    image_size: str = "auto"
    channels: str = "auto"
    shard_rows: int = 2000

    @property
    def local(self) -> bool:
        """Object storage is read by any worker."""
        return "://" not in self.data_root

    def pieces(self, split: Split) -> list[Piece]:
        """Pieces of the split, class by class in name order.

        Raises:
            BadData: no image in the split's folder.
        """
        pieces = []
        for label, files in self._files(split).items():
            for piece in cut(label, len(files), self.shard_rows, ""):
                part = files[piece.start : piece.start + piece.rows]
                pieces.append(
                    Piece(file=label, start=piece.start, rows=piece.rows, fingerprint=digest(part))
                )
        if not pieces:
            raise BadData(
                f"--data-root: expected images in {self.data_root}/{split}/<class>/, got none"
            )
        return pieces

    def layout(self) -> Layout:
        """Classes are the training split's folder names, sorted."""
        files = self._files("train")
        fs, _ = filesystem(self.data_root)
        per_class = max(1, _PROBED // max(1, len(files)))
        first = [path for found in files.values() for path, _ in found[:per_class]][:_PROBED]
        images = (fs.cat_file(path) for path in first)
        try:
            shape = probe(images, size=self.image_size, channels=self.channels)
        except BadData as error:
            raise BadData(f"--data-root {self.data_root}: {error}") from error
        return Layout(classes=tuple(files), shape=shape)

    def read(self, split: Split, piece: Piece) -> Rows:
        """Encoded images of one piece; names are paths below the split's folder."""
        fs, _ = filesystem(self.data_root)
        files = self._files(split)[piece.file][piece.start : piece.start + piece.rows]
        return Rows(
            labels=[piece.file] * len(files),
            names=["/".join(path.split("/")[-2:]) for path, _ in files],
            encoded=[fs.cat_file(path) for path, _ in files],
        )

    def _files(self, split: Split) -> dict[str, list[tuple[str, str]]]:
        return _list_images(self.data_root, split)


@cache
def _list_images(root: str, split: Split) -> dict[str, list[tuple[str, str]]]:
    """(path, fingerprint) of every image, by class, both sorted."""
    fs, base = filesystem(root)
    known = Image.registered_extensions()
    by_class: dict[str, list[tuple[str, str]]] = {}
    for folder in _FOLDERS[split]:
        found: dict[str, dict[str, Any]] = fs.find(f"{base}/{folder}", detail=True)
        for path, info in sorted(found.items()):
            parts = path.removeprefix(f"{base}/{folder}/").split("/")
            if len(parts) > 1 and f".{parts[-1].rpartition('.')[2].lower()}" in known:
                mark = info.get("ETag") or info.get("mtime") or info.get("LastModified")
                by_class.setdefault(parts[0], []).append((path, f"{info['size']}-{mark}"))
        if by_class:
            break
    return dict(sorted(by_class.items()))
