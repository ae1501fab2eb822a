"""Packs of examples as pages show them, each a file: small images as one image, texts as a script.

Nothing is loaded until an example of the pack comes near the screen.
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

_LONGEST = 20_000  # characters of a text; of a longer one the rest is left out


@dataclass(frozen=True, kw_only=True)
class TextPacking:
    """How texts lie in packs."""

    rows: int = 25
    """Texts of a pack."""

    def packs(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The packs of a shard's texts, one at a time."""
        taken = (t if len(t) <= _LONGEST else f"{t[:_LONGEST].rstrip()} …" for t in texts)
        while some := list(islice(taken, self.rows)):
            yield some

    def about(self) -> dict[str, Any]:
        """What a page needs to find a text."""
        return {"kind": "text", "rows": self.rows}


Packing = ImagePacking | TextPacking


def choose_packings(examples: int, shapes: Iterable[InputShape]) -> dict[InputShape, Packing]:
    """How to pack the examples of each shape, in a report that has so many."""
    return {
        shape: TextPacking() if isinstance(shape, TextShape) else choose_packing(examples, shape)
        for shape in shapes
    }


def pack_files(
    storage: Storage, shard: PlacedShard, packings: Mapping[InputShape, Packing], stem: str
) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every pack of a shard; of its examples no more than a pack is in memory.

    Args:
        storage: where the shard is.
        shard: of which examples.
        packings: by shape.
        stem: what the paths begin with.
    """
    dataset, shape = shard.version.name, shard.version.shape
    packing = packings[shape]
    if isinstance(packing, TextPacking):
        assert isinstance(shape, TextShape)
        texts = iterate_texts(storage, dataset, shard.record, shape)
        for n, some in enumerate(packing.packs(texts)):
            path = f"{stem}-{n}.js"
            yield path, as_script(path, some)
    else:
        assert not isinstance(shape, TextShape)
        images = iterate_images(storage, dataset, shard.record, shape)
        for n, sheet in enumerate(packing.packs(images)):
            yield f"{stem}-{n}.webp", sheet
