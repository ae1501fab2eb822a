"""Decode image files to uint8 arrays of one shape, with Pillow.

A file is somebody's, and may be made to do harm. So it is opened only if it has one of `FORMATS`,
none of which runs another program; it is decoded only if it has few enough pixels; and what a PNG
may hold besides, its text, is bounded by Pillow to 1 MiB a chunk and 64 MiB in all.
"""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from scoring.errors import BadData
from scoring.store.keys import added

Pixels = npt.NDArray[np.uint8]

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. EPS is none of them: it starts Ghostscript."""
MAX_PIXELS = 89_478_485
"""Pixels of an image, unless --max-pixels says otherwise: Pillow warns of larger ones."""
MOST_PIXELS = 2 * MAX_PIXELS
"""Pillow never opens larger images."""
_GREY = {"1", "L", "LA", "I", "F"}


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """The shape that every image of a dataset is decoded to."""

    column: ClassVar[str] = "image"
    """Name of the column in shards."""
    plural: ClassVar[str] = "images"
    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)

    height: int
    width: int
    channels: int
    """1 for grey, 3 for RGB."""
    resize: bool = False
    """Resize the short side and crop the centre, instead of refusing other sizes."""
    to_grey: bool = False
    """Convert colour to grey, instead of refusing it in a grey dataset."""
    max_pixels: int = added(MAX_PIXELS)
    """An image with more is undecodable."""

    @property
    def dims(self) -> tuple[int, int, int]:
        """(H, W, D)."""
        return self.height, self.width, self.channels

    @property
    def nbytes(self) -> int:
        """Bytes of one decoded image."""
        return self.height * self.width * self.channels

    def decode(self, data: bytes | None) -> Pixels | None:
        """Decode one image with `decode`."""
        return decode(data, self)

    def __str__(self) -> str:
        return f"{self.height}x{self.width}x{self.channels}"


class WrongShape(BadData):
    """An image that decodes, but does not have the dataset's shape."""


def decode(data: bytes | None, shape: ImageShape) -> Pixels | None:
    """Decode one image to [H, W, D] uint8, or None if Pillow cannot read it.

    Drops transparency and keeps the upper 8 of 16 bits per channel.

    Raises:
        WrongShape: the image is readable but has another size, has colour in a grey dataset, or
            holds numbers whose range is unknown.
    """
    image = _open(data, shape.max_pixels)
    if image is None:
        return None
    if shape.channels == 1 and not shape.to_grey and not _is_grey(image.mode):
        raise WrongShape(
            f"expected grey images like the first ones, got mode {image.mode}; pass --channels 1 "
            "to convert all to grey, or --channels 3"
        )
    try:
        with _quiet():
            image = _converted(_eight_bit(image), "L" if shape.channels == 1 else "RGB")
    except ValueError:  # a colour space that Pillow can read but not convert
        return None
    if shape.resize:
        image = ImageOps.fit(image, (shape.width, shape.height), Image.Resampling.BICUBIC)
    if (image.height, image.width) != (shape.height, shape.width):
        raise WrongShape(
            f"expected images of {shape.height}x{shape.width} like the first one, got one of "
            f"{image.height}x{image.width}; pass --image-size to resize"
        )
    return np.asarray(image, dtype=np.uint8).reshape(shape.dims)


def probe(
    images: Iterable[bytes | None], *, size: str, channels: str, max_pixels: int = MAX_PIXELS
) -> ImageShape:
    """Find the shape of a dataset from its first images.

    Args:
        images: encoded images; unreadable ones are skipped.
        size: `HxW` to resize to, or `auto` for the size of the first image.
        channels: `1`, `3`, or `auto` for 3 if any of `images` has colour, else 1.
        max_pixels: larger images count as unreadable.

    Raises:
        BadData: none of the images decodes.
    """
    loaded = map(partial(_open, max_pixels=max_pixels), images)
    opened = (image for image in loaded if image is not None)
    seen = [(image.mode, image.height, image.width) for image in opened]
    if not seen:
        raise BadData("expected images that Pillow can read, got none among the first rows")
    depth = 1 if all(_is_grey(mode) for mode, _, _ in seen) else 3
    height, width = parse_size(size) if size != "auto" else seen[0][1:]
    return ImageShape(
        height=height,
        width=width,
        channels=depth if channels == "auto" else int(channels),
        resize=size != "auto",
        to_grey=channels == "1",
        max_pixels=max_pixels,
    )


def as_png(image: Pixels) -> bytes:
    """Encode an image [H, W, D] uint8, with D 1 or 3, as a PNG file."""
    sink = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(sink, "png")
    return sink.getvalue()


def file_suffix(data: bytes) -> str:
    """Return the suffix that suits an image file, such as ".jpeg"; "" if Pillow cannot tell."""
    try:
        with _quiet(), open_image(data) as image:
            return f".{image.format.lower()}" if image.format else ""
    except Exception:  # Pillow raises all kinds of errors on broken files
        return ""


def parse_size(text: str) -> tuple[int, int]:
    """Parse `64x48` or `64` to (height, width).

    Raises:
        BadData: the text has another form.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadData(f"--image-size: expected HxW in pixels, got {text!r}")
    return int(parts[0]), int(parts[-1])


def _is_grey(mode: str) -> bool:
    return mode in _GREY or mode.startswith("I;16")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Reduce 16 bits per channel to 8; Pillow would clip at 255 and return a white image."""
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise WrongShape(f"expected 8 or 16 bits a channel, got mode {image.mode}")
    return Image.fromarray((values >> 8).astype(np.uint8))


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image file of one of `FORMATS`. Pillow raises all kinds of errors."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image, without a copy if it has the mode."""
    return image if image.mode == mode else image.convert(mode)


def _open(data: bytes | None, max_pixels: int) -> Image.Image | None:
    """Load an image, or return None if Pillow cannot read it or it has too many pixels."""
    if not data:
        return None
    try:
        with _quiet():
            image = open_image(data)
            if image.width * image.height > max_pixels:
                return None
            image.load()
    except MemoryError:
        raise
    except Exception:  # Pillow raises all kinds of errors on broken files
        return None
    return image


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings about broken metadata and odd palettes: only pixels matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
