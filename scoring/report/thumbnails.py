"""How the examples of a shard look on a page: packs of small images, each a grid in one WebP file.

A sorted list of examples takes its images from everywhere, so a pack is small. What WebP takes was
measured, in bytes a pixel and channel: lossless 0.20 on MNIST, 0.50 on Fashion-MNIST and on
Tiny-ImageNet, 0.57 on CIFAR-10; 0.11 to 0.15 at quality 85 in colour.
"""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image

from scoring.data.images import ImageShape, Pixels

MEDIA_TYPE = "image/webp"
_LOSSLESS_BYTES, _LOSSY_BYTES = 0.57, 0.15  # a pixel and channel
_EXACT_BYTES, _BUDGET_BYTES = 60_000_000, 120_000_000  # of all images of a report
_PACK_BYTES = 32_000
_MOST_COLUMNS = 16
_BLOCK = 16  # pixels; a lossy image bleeds within blocks of this size
_NO_IMAGE = (128, 128, 128)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How small images are encoded."""

    side: int
    """Longest side in pixels; larger images shrink to it, smaller ones stay as they are."""
    lossless: bool
    quality: int = 85
    """Of lossy images."""

    def bytes_of(self, shape: ImageShape) -> float:
        """About what one image takes."""
        scale = min(1.0, self.side / max(shape.height, shape.width))
        each = _LOSSLESS_BYTES if self.lossless else _LOSSY_BYTES
        return each * shape.nbytes * scale**2

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) of an image on the page."""
        scale = min(1.0, self.side / max(height, width))
        return max(1, round(scale * width)), max(1, round(scale * height))

    def shrunk(self, pixels: Pixels) -> Image.Image:
        """An image, [H, W, D] uint8 with D of 1 or 3, in its size on the page."""
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        size = self.size_of(*pixels.shape[:2])
        return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)

    def encode(self, image: Image.Image) -> bytes:
        """An image as WebP."""
        buffer = io.BytesIO()
        effort: dict[str, Any] = {"method": 4, "quality": self.quality}
        if self.lossless:
            effort = {"method": 2, "quality": 40}  # as small as with more effort
        image.save(buffer, "WEBP", lossless=self.lossless, **effort)
        return buffer.getvalue()


EXACT = Encoding(side=64, lossless=True)
_SMALLER = [Encoding(side=side, lossless=False) for side in (192, 128, 96, 64, 48, 32)]


def choose_encoding(images: int, shape: ImageShape) -> Encoding:
    """The best encoding that keeps a report with this many images small.

    To the bit where images are small themselves, and that is cheap.
    """
    small = max(shape.height, shape.width) <= EXACT.side
    if small and images * EXACT.bytes_of(shape) <= _EXACT_BYTES:
        return EXACT
    for encoding in _SMALLER:
        if images * encoding.bytes_of(shape) <= _BUDGET_BYTES:
            return encoding
    return _SMALLER[-1]


@dataclass(frozen=True, kw_only=True)
class ImagePacking:
    """How images of one shape lie in packs."""

    encoding: Encoding
    width: int
    """Of an image on the page, in pixels."""
    height: int
    pitch: tuple[int, int]
    """From one image to the next, across and down."""
    columns: int
    """Images beside each other; a pack has no more rows than columns."""
    grey: bool

    @property
    def rows(self) -> int:
        """Images of a pack."""
        return self.columns**2

    def packs(self, images: Iterable[Pixels | None]) -> Iterator[bytes]:
        """The packs of a shard's images, one at a time; None leaves its place grey."""
        taken = iter(images)
        while some := list(islice(taken, self.rows)):
            yield self.encoding.encode(self._sheet(some))

    def about(self) -> dict[str, Any]:
        """What a page needs to find an image."""
        across, down = self.pitch
        return {
            "kind": "image",
            "width": self.width,
            "height": self.height,
            "across": across,
            "down": down,
            "columns": self.columns,
            "rows": self.rows,
        }

    def _sheet(self, images: Sequence[Pixels | None]) -> Image.Image:
        across, down = self.pitch
        columns = min(self.columns, len(images))
        size = columns * across, math.ceil(len(images) / self.columns) * down
        sheet = Image.new("RGB", size, _NO_IMAGE).convert("L" if self.grey else "RGB")
        for place, pixels in enumerate(images):
            if pixels is not None:
                row, column = divmod(place, self.columns)
                sheet.paste(self.encoding.shrunk(pixels), (column * across, row * down))
        return sheet


def choose_packing(images: int, shape: ImageShape) -> ImagePacking:
    """How to pack the images of a report that has this many."""
    encoding = choose_encoding(images, shape)
    width, height = encoding.size_of(shape.height, shape.width)
    step = 1 if encoding.lossless else _BLOCK
    pitch = math.ceil(width / step) * step, math.ceil(height / step) * step
    columns = math.isqrt(int(_PACK_BYTES / encoding.bytes_of(shape)))
    return ImagePacking(
        encoding=encoding,
        width=width,
        height=height,
        pitch=pitch,
        columns=min(max(columns, 1), _MOST_COLUMNS),
        grey=shape.channels == 1,
    )
