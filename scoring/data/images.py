"""Encoded images to uint8 arrays of one shape, through Pillow."""

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from scoring.errors import BadData

Pixels = npt.NDArray[np.uint8]
_GREY = {"1", "L", "LA", "I", "I;16", "F"}
_UNDECODABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,  # truncated
    SyntaxError,  # what Pillow's PNG reader raises for a broken chunk
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """What every image of a dataset is decoded to."""

    height: int
    width: int
    channels: int
    """1 grey, 3 RGB."""
    resize: bool = False
    """Resize the short side and crop the centre, instead of refusing other sizes."""

    @property
    def dims(self) -> tuple[int, int, int]:
        """(H, W, D)."""
        return self.height, self.width, self.channels

    @property
    def nbytes(self) -> int:
        """Bytes of one decoded image."""
        return self.height * self.width * self.channels


class WrongShape(BadData):
    """An image that decodes, but not to the dataset's shape."""


def decode(data: bytes | None, shape: ImageShape) -> Pixels | None:
    """Decode one image to [H, W, D] uint8; None where Pillow cannot read it.

    Raises:
        WrongShape: the image is fine but has another size, or colour in a grey dataset.
    """
    try:
        image = _open(data)
        if image is None:
            return None
        if shape.channels == 1 and image.mode not in _GREY:
            raise WrongShape(
                f"expected grey images like the first ones, got mode {image.mode}; "
                "pass --channels 3"
            )
        image = image.convert("L" if shape.channels == 1 else "RGB")
    except _UNDECODABLE:
        return None
    if shape.resize:
        image = _resized(image, shape)
    if (image.height, image.width) != (shape.height, shape.width):
        raise WrongShape(
            f"expected images of {shape.height}x{shape.width} like the first one, got one of "
            f"{image.height}x{image.width}; pass --image-size to resize"
        )
    return np.asarray(image, dtype=np.uint8).reshape(shape.dims)


def probe(images: Iterable[bytes | None], *, size: str, channels: str) -> ImageShape:
    """Find the shape of a dataset from its first images.

    Args:
        images: encoded images; those that do not decode are passed over.
        size: `HxW` to resize to, or `auto`: the size of the first image.
        channels: `1`, `3` or `auto`: 3 where any of `images` has colour.

    Raises:
        BadData: none of them decodes.
    """
    opened = [image for image in (_try_open(data) for data in images) if image is not None]
    if not opened:
        raise BadData("expected images that Pillow can read, got none among the first rows")
    depth = int(channels) if channels != "auto" else 3
    if channels == "auto" and all(image.mode in _GREY for image in opened):
        depth = 1
    height, width = parse_size(size) if size != "auto" else (opened[0].height, opened[0].width)
    return ImageShape(height=height, width=width, channels=depth, resize=size != "auto")


def parse_size(text: str) -> tuple[int, int]:
    """`64x48` or `64` to (height, width).

    Raises:
        BadData: anything else.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise BadData(f"--image-size: expected HxW in pixels, got {text!r}")
    return int(parts[0]), int(parts[-1])


def _resized(image: Image.Image, shape: ImageShape) -> Image.Image:
    scale = max(shape.height / image.height, shape.width / image.width)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = (width - shape.width) // 2, (height - shape.height) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    return image.crop((left, top, left + shape.width, top + shape.height))


def _open(data: bytes | None) -> Image.Image | None:
    if not data:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata; the pixels decide
        image: Image.Image = Image.open(io.BytesIO(data))
        image.load()
    return image


def _try_open(data: bytes | None) -> Image.Image | None:
    try:
        return _open(data)
    except _UNDECODABLE:
        return None
