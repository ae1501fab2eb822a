"""Images in folders: `<data-root>/<split>/<class>/<file>`, local or on object storage.

Each class folder counts as one source file in the sense of `scoring.data.sources`, so a new image
in one class leaves the pieces of the other classes unchanged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image

from scoring.data.files import SourceFile, fingerprint, is_local, unread
from scoring.data.images import MAX_PIXELS, probe
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.errors import BadData
from scoring.store.filesystems import filesystem
from scoring.store.keys import Split, added, digest
from scoring.store.parallel import in_parallel

_PROBED = 100  # images that the shape is taken from
_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val")}


@dataclass(frozen=True, kw_only=True)
class ImageFolderSource:
    """One folder per split (`test` may be called `val`), and in it one folder per class."""

    name: str
    data_root: str
    image_size: str = "auto"
    channels: str = "auto"
    shard_rows: int = 2000
    max_pixels: int = added(MAX_PIXELS)
    """An image with more is undecodable."""

    @property
    def local(self) -> bool:
        """Whether the folder is on this machine; any worker can read object storage."""
        return is_local(self.data_root)

    def pieces(self, split: Split) -> list[Piece]:
        """Return the pieces of the split, class by class in name order.

        Raises:
            BadData: the split's folder holds no image, or a class that the training split lacks.
        """
        by_class = self._files(split)
        if extra := sorted(set(by_class) - {_name(folder) for folder in self._classes("train")}):
            raise BadData(
                f"--data-root: expected every {split} class to be in {self.data_root}/train, "
                f"got {extra[0]!r}"
            )
        pieces = [
            replace(piece, fingerprint=self._fingerprint(files, piece))
            for label, files in by_class.items()
            for piece in cut(label, len(files), self.shard_rows, "")
        ]
        if not pieces:
            folders = " or ".join(_FOLDERS[split])
            raise BadData(
                f"--data-root: expected images in {self.data_root}/{folders}/<class>/, got none"
            )
        return pieces

    def layout(self) -> Layout:
        """Return the layout; classes are the training folders that hold images, sorted."""
        by_class = self._files("train")
        per_class = max(1, _PROBED // max(1, len(by_class)))
        first = [file.path for files in by_class.values() for file in files[:per_class]][:_PROBED]
        try:
            shape = probe(
                self._contents(first),
                size=self.image_size,
                channels=self.channels,
                max_pixels=self.max_pixels,
            )
        except BadData as error:
            raise BadData(f"--data-root {self.data_root}: {error}") from error
        return Layout(classes=tuple(by_class), shape=shape)

    def labels(self, split: Split, piece: Piece) -> list[str]:
        """Return the labels of one piece: the name of its folder."""
        return [piece.file] * piece.rows

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the encoded images of one piece; names are paths below the split's folder."""
        files = _list_images(self.data_root, f"{self._folder(split)}/{piece.file}")
        if self._fingerprint(files, piece) != piece.fingerprint:
            raise BadData(
                f"--data-root: expected the {split} images of {piece.file!r} to stay unchanged, "
                "got another version; run again"
            )
        files = files[piece.start : piece.start + piece.rows]
        return Rows(
            labels=[piece.file] * len(files),
            names=[f"{piece.file}/{file.name}" for file in files],
            encoded=self._contents([file.path for file in files]),
        )

    def _folder(self, split: Split) -> str:
        """Return the split's folder under the first of its names that exists, else the last."""
        fs, root = filesystem(self.data_root)
        *names, last = _FOLDERS[split]
        return f"{root}/{next((name for name in names if fs.isdir(f'{root}/{name}')), last)}"

    def _classes(self, split: Split) -> list[str]:
        """List the split's class folders by path, sorted; empty if there is no such split."""
        fs, _ = filesystem(self.data_root)
        try:
            found = fs.ls(self._folder(split), detail=True)
            folders = [
                info["name"].rstrip("/")
                for info in found
                # A link to a folder is listed as neither folder nor file.
                if info["type"] == "directory" or (info.get("islink") and fs.isdir(info["name"]))
            ]
        except FileNotFoundError:
            return []
        except Exception as error:  # every filesystem driver raises its own kinds of errors
            raise unread(error, f"--data-root: cannot list {self.data_root!r}") from error
        _check_text(folders)
        return sorted(folder for folder in folders if not _name(folder).startswith("."))

    def _files(self, split: Split) -> dict[str, list[SourceFile]]:
        """List the images of each class that has any."""
        folders = self._classes(split)
        found = in_parallel(partial(_list_images, self.data_root), folders)
        return {_name(path): files for path, files in zip(folders, found, strict=True) if files}

    def _contents(self, paths: list[str]) -> list[bytes | None]:
        fs, _ = filesystem(self.data_root)
        try:
            return list(in_parallel(fs.cat_file, paths))
        except Exception as error:  # gone or changed since they were listed
            raise unread(error, f"--data-root: cannot read images of {self.data_root!r}") from error

    def _fingerprint(self, files: list[SourceFile], piece: Piece) -> str:
        """Fingerprint the whole piece, even if only some of its rows are wanted."""
        whole = files[piece.start : piece.start + self.shard_rows]
        return digest([(file.path, file.fingerprint) for file in whole])


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]


def _check_text(paths: Iterable[str]) -> None:
    """Refuse names that are no UTF-8: no table could hold them."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise BadData(f"--data-root: expected names in UTF-8, got {path!r}") from None


def _list_images(root: str, folder: str) -> list[SourceFile]:
    """List the images below a class folder, sorted by name; skip hidden files."""
    fs, _ = filesystem(root)
    known = Image.registered_extensions()
    try:
        found = fs.find(folder, detail=True)
    except Exception as error:
        raise unread(error, f"--data-root: cannot list {folder!r}") from error
    _check_text(found)
    files = []
    for path, info in found.items():
        name = path.removeprefix(f"{folder}/")
        stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
        if stem and not stem.startswith(".") and f"{dot}{suffix.lower()}" in known:
            files.append(SourceFile(name=name, path=path, fingerprint=fingerprint(info)))
    return sorted(files)
