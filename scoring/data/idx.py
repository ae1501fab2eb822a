"""The idx format of the MNIST family, with or without gzip."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from scoring.data.images import Pixels
from scoring.errors import BadData

_UNSIGNED_BYTES = 8


def read_idx(path: Path) -> Pixels:
    """Read an array of unsigned bytes.

    The header is two zero bytes, the type, the number of dimensions, and each dimension as a
    big-endian 32-bit integer (yann.lecun.com/exdb/mnist).

    Raises:
        BadData: the file is not in this format, is cut short, or cannot be read.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"--data-root: cannot read {str(path)!r} ({error})") from error
    dims = np.frombuffer(data[4 : 4 + 4 * data[3]], ">u4") if len(data) > 4 else np.empty(0)
    start = 4 + 4 * len(dims)
    if data[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or len(data) - start != math.prod(dims.tolist()):
        raise BadData(
            f"--data-root: expected a complete idx file of unsigned bytes, got {str(path)!r}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(dims)
