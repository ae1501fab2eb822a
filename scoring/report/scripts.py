"""Data files in the form of scripts, because a page opened from disk can load nothing else.

Images are the one exception.
"""

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = {kind: np.dtype(f"<{kind}") for kind in ("u1", "u2", "i2", "u4", "f4")}


def as_script(path: str, data: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write a script that hands `data` to the page that loaded it, by its path in the report."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return f"protoscore.receive({json.dumps(path)},{text});\n".encode()


def packed(column: npt.NDArray[Any]) -> dict[str, str]:
    """Pack a column for a script: its kind (u1, u2, i2, u4 or f4) and its bytes in base64.

    Numbers are little-endian, which every browser uses.
    """
    kind = column.dtype.str[1:]
    data = np.ascontiguousarray(column, dtype=_KINDS[kind])
    return {"kind": kind, "data": base64.b64encode(data.data).decode()}
