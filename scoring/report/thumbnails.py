"""Small images as WebP: exact while that is cheap, else as small as a page can bear.

What a lossless WebP takes was measured on MNIST (0.26 bytes a pixel and channel), Fashion-MNIST and
CIFAR-10 (0.57) and Tiny-ImageNet (0.50); one of quality 85 takes 0.11 to 0.15 in colour.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from scoring.analysis.scores import Ints
from scoring.analysis.snapshot import Snapshot
from scoring.data.images import ImageShape, Pixels
from scoring.data.shards import read_images
from scoring.keys import Split

Source = tuple[Split, str]
"""(split, dataset version): an id may show another image in another version."""
Key = tuple[Source, int]
"""An image: where it is from, and its example id."""
MEDIA_TYPE = "image/webp"
LONGEST_SIDE = 64
_LOSSLESS_BYTES, _LOSSY_BYTES = 0.57, 0.15  # a pixel and channel
_BUDGET_BYTES = 4_500_000  # of all images; a third more as base64


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How every image of a page is encoded."""

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


_BEST_FIRST = (
    Encoding(side=LONGEST_SIDE, lossless=True),
    Encoding(side=LONGEST_SIDE, lossless=False),
    Encoding(side=48, lossless=False),
    Encoding(side=40, lossless=False, quality=75),
)


def choose_encoding(images: int, shape: ImageShape) -> Encoding:
    """The best encoding that keeps a page with this many images small."""
    for encoding in _BEST_FIRST:
        if images * encoding.bytes_of(shape) <= _BUDGET_BYTES:
            return encoding
    return _BEST_FIRST[-1]


def encode(pixels: Pixels, encoding: Encoding) -> bytes:
    """One image, [H, W, D] uint8 with D of 1 or 3, as WebP."""
    grey = pixels.shape[2] == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    image.thumbnail((encoding.side, encoding.side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=encoding.lossless, quality=encoding.quality, method=4)
    return buffer.getvalue()


def read_thumbnails(snapshot: Snapshot, wanted: Mapping[Source, Ints]) -> dict[Key, bytes]:
    """Encode the images of some examples; those that do not decode are left out.

    Shards are read one at a time, and only those that hold a wanted id.

    Args:
        snapshot: where the images are.
        wanted: (split, dataset version) to [K] example ids.
    """
    count = sum(map(len, wanted.values()))
    found: dict[Key, bytes] = {}
    for source, ids in wanted.items():
        version = snapshot.data[source]
        if not isinstance(version.shape, ImageShape):
            continue
        encoding = choose_encoding(count, version.shape)
        for record in version.shards:
            inside = ids[(ids >= record.first_id) & (ids < record.first_id + record.rows)]
            if not len(inside):
                continue
            images = read_images(snapshot.storage, version.name, record, version.shape, inside)
            found |= {(source, i): encode(image, encoding) for i, image in images.items()}
    return found
