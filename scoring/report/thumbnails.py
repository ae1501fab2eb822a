"""Packs of thumbnails: each pack is a grid of small images in one WebP file.

A sorted list of examples takes its images from all over a split, so packs are small. Measured size
of WebP, in bytes per pixel and channel: lossless 0.20 on MNIST, 0.50 on Fashion-MNIST and
Tiny-ImageNet, 0.57 on CIFAR-10; lossy colour at quality 85, 0.11 to 0.15.
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
_LOSSLESS_BYTES, _LOSSY_BYTES = 0.57, 0.15  # per pixel and channel
_EXACT_BYTES, _BUDGET_BYTES = 60_000_000, 120_000_000  # for all images of a report
_PACK_BYTES = 32_000
_MOST_COLUMNS = 16
_BLOCK = 16  # pixels; lossy images bleed into their neighbours within blocks of this size
_NO_IMAGE = (128, 128, 128)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How small images are encoded."""

    side: int
    """Longest side in pixels; larger images are shrunk to it, smaller ones keep their size."""
    lossless: bool
    quality: int = 85
    """WebP quality of lossy images, 0 to 100."""

    def bytes_of(self, shape: ImageShape) -> float:
        """Estimate the bytes of one image."""
        scale = min(1.0, self.side / max(shape.height, shape.width))
        each = _LOSSLESS_BYTES if self.lossless else _LOSSY_BYTES
        return each * shape.nbytes * scale**2

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Return (width, height) of an image on the page."""
        scale = min(1.0, self.side / max(height, width))
        return max(1, round(scale * width)), max(1, round(scale * height))

    def shrink(self, pixels: Pixels) -> Image.Image:
        """Scale an image [H, W, D] uint8, D = 1 or 3, to its size on the page."""
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        size = self.size_of(*pixels.shape[:2])
        return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)

    def encode(self, image: Image.Image) -> bytes:
        """Encode an image as WebP."""
        buffer = io.BytesIO()
        effort: dict[str, Any] = {"method": 4, "quality": self.quality}
        if self.lossless:
            effort = {"method": 2, "quality": 40}  # more effort saves nothing
        image.save(buffer, "WEBP", lossless=self.lossless, **effort)
        return buffer.getvalue()


EXACT = Encoding(side=64, lossless=True)
_SMALLER = [Encoding(side=side, lossless=False) for side in (192, 128, 96, 64, 48, 32)]


def choose_encoding(images: int, shape: ImageShape) -> Encoding:
    """Choose the best encoding that keeps a report with this many images small.

    Small images are kept bit for bit, if that is affordable.
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
    """How images of one shape are packed."""

    encoding: Encoding
    width: int
    """Width of an image on the page, in pixels."""
    height: int
    pitch: tuple[int, int]
    """Pixels from one image to the next, across and down."""
    columns: int
    """Images side by side; a pack has no more rows than columns."""
    grey: bool

    @property
    def rows(self) -> int:
        """Images in a pack."""
        return self.columns**2

    def packs(self, images: Iterable[Pixels | None]) -> Iterator[bytes]:
        """Yield the packs of a shard's images; None leaves a grey cell."""
        rest = iter(images)
        while pack := list(islice(rest, self.rows)):
            yield self.encoding.encode(self._sheet(pack))

    def describe(self) -> dict[str, Any]:
        """Return what a page needs to find an image."""
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
        for cell, pixels in enumerate(images):
            if pixels is not None:
                row, column = divmod(cell, self.columns)
                sheet.paste(self.encoding.shrink(pixels), (column * across, row * down))
        return sheet


def choose_packing(images: int, shape: ImageShape) -> ImagePacking:
    """Choose how to pack images of one shape, in a report with this many images."""
    return pack_as(choose_encoding(images, shape), shape)


def pack_as(encoding: Encoding, shape: ImageShape) -> ImagePacking:
    """Return how to pack images of one shape that are encoded in some way."""
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
