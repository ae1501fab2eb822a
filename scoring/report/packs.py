"""Packs of examples, one file each: small images as one image, texts as one script.

A page loads a pack when one of its examples comes near the screen.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from scoring.data.shapes import InputShape
from scoring.data.shard_parts import iterate_images, iterate_texts
from scoring.data.texts import TextShape
from scoring.report.positions import PlacedShard
from scoring.report.scripts import as_script
from scoring.report.thumbnails import ImagePacking, choose_packing
from scoring.store.storage import Storage

_LONGEST = 20_000  # characters; longer texts are cut


@dataclass(frozen=True, kw_only=True)
class TextPacking:
    """How texts are packed."""

    rows: int = 25
    """Texts in a pack."""

    def packs(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Yield the packs of a shard's texts."""
        cut = (t if len(t) <= _LONGEST else f"{t[:_LONGEST].rstrip()} …" for t in texts)
        while pack := list(islice(cut, self.rows)):
            yield pack

    def describe(self) -> dict[str, Any]:
        """Return what a page needs to find a text."""
        return {"kind": "text", "rows": self.rows}


@dataclass(frozen=True, kw_only=True)
class NoPacking:
    """Leaves the examples out."""

    def describe(self) -> dict[str, Any]:
        """Return what a page needs to know."""
        return {"kind": "none", "rows": 1}


Packing = ImagePacking | TextPacking | NoPacking


def choose_packings(
    examples: int, shapes: Iterable[InputShape], *, shown: bool = True
) -> dict[InputShape, Packing]:
    """Choose how to pack the examples of each shape.

    Args:
        examples: how many the report has in all.
        shapes: of examples.
        shown: whether the report shows the examples themselves.
    """
    if not shown:
        return {shape: NoPacking() for shape in shapes}
    return {
        shape: TextPacking() if isinstance(shape, TextShape) else choose_packing(examples, shape)
        for shape in shapes
    }


def pack_files(
    storage: Storage, shard: PlacedShard, packings: Mapping[InputShape, Packing], stem: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the path and bytes of every pack of a shard, with one pack in memory at a time.

    Args:
        storage: holds the shard.
        shard: the shard to pack.
        packings: packings by shape.
        stem: the beginning of every path.
    """
    dataset, shape = shard.version.name, shard.version.shape
    packing = packings[shape]
    if isinstance(packing, NoPacking):
        return
    if isinstance(packing, TextPacking):
        assert isinstance(shape, TextShape)
        texts = iterate_texts(storage, dataset, shard.record, shape)
        for n, pack in enumerate(packing.packs(texts)):
            path = f"{stem}-{n}.js"
            yield path, as_script(path, pack)
    else:
        assert not isinstance(shape, TextShape)
        images = iterate_images(storage, dataset, shard.record, shape)
        for n, sheet in enumerate(packing.packs(images)):
            yield f"{stem}-{n}.webp", sheet
