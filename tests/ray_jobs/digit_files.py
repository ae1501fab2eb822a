"""scikit-learn's digits as image files and Parquet."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits


def png(pixels: np.ndarray) -> bytes:
    """A grey or colour image as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def digit_images(rows: slice) -> tuple[list[bytes], list[int]]:
    """scikit-learn's digits as PNG files, and their labels."""
    data = load_digits()
    pixels = np.round(data.images[rows] * 255 / 16).astype(np.uint8)
    return [png(image) for image in pixels], data.target[rows].tolist()


def write_digits(path: Path, rows: slice, *, broken: Sequence[int] = ()) -> Path:
    """Digits as Parquet with the columns image, label and file; `broken` images are text."""
    images, labels = digit_images(rows)
    for row in broken:
        images[row] = b"this is not an image"
    names = [f"digit-{rows.start + i}" for i in range(len(images))]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": labels, "file": names}), path)
    return path
