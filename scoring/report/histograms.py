"""The values of a metric in bins of equal width; the long tails go into the first and last bin."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.arrays import Floats

BINS = 60
_TAIL = 0.005  # share of the values beyond the inner edges, on each side


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """K values in `BINS` bins."""

    bin: npt.NDArray[np.uint8]
    """[K] bin of each value."""
    edges: npt.NDArray[np.float32]
    """[BINS + 1] ascending: the smallest value, the inner edges, the largest value."""


def histogram(values: Floats) -> Histogram:
    """Sort finite values [K > 0] into bins."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    inner = np.linspace(low, high, BINS + 1)[1:-1]
    edges = np.concatenate([[values.min()], inner, [values.max()]])
    return Histogram(
        bin=np.searchsorted(inner, values, side="right").astype(np.uint8),
        edges=edges.astype(np.float32),
    )
