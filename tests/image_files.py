"""Small images in various formats, and datasets made of them."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def pixels(seed, height=8, width=8, channels=1):
    """Return random pixels, [H, W] or [H, W, 3] uint8."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(image, kind="png", **options):
    """Encode an array or a Pillow image as the bytes of a file."""
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey_pngs(rows, first=0):
    """Return grey 8x8 PNG files, all different."""
    return [encode(pixels(first + row)) for row in range(rows)]


def write_parquet(path, images, labels, image_type=None, label_type=None, **options):
    """Write the columns `image` and `label`, and those in the option `columns`."""
    columns = {
        "image": pa.array(images, image_type),
        "label": pa.array(labels, label_type),
        **options.pop("columns", {}),
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def write_folder(root, split, classes, height=8, width=8):
    """Write images `<root>/<split>/<class>/<i>.png`; `classes` maps class to image count."""
    for name, rows in classes.items():
        folder = Path(root) / split / name
        folder.mkdir(parents=True, exist_ok=True)
        for row in range(rows):
            image = pixels(hash_of(split, name, row), height, width)
            (folder / f"{row:03}.png").write_bytes(encode(image))
    return str(root)


def hash_of(*parts):
    """Return a seed that differs from image to image but not from run to run."""
    return int.from_bytes("/".join(map(str, parts)).encode()[-8:], "little")
