"""Names for the arrays that every room passes on; free of torch."""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
"""Ids, ranks, classes (-1 where unknown)."""
Floats = npt.NDArray[np.float64]
"""Values, NaN where there is none."""
Floats32 = npt.NDArray[np.float32]
"""Features, logits, probabilities as they are stored."""
Bools = npt.NDArray[np.bool_]
"""A yes or no for each row."""
Strings = npt.NDArray[np.str_] | npt.NDArray[np.object_]
"""A word for each row, "" where there is none."""
AnyInts = npt.NDArray[np.signedinteger[Any]]
"""Integers of any width: columns of very many rows are kept as small as they can be."""
