"""Data as scripts: from disk a page may load those, and images, and nothing else."""

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = {kind: np.dtype(f"<{kind}") for kind in ("u1", "u2", "i2", "u4", "f4")}


def as_script(path: str, data: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """A script that hands `data` to the page that asked for it by its path in the report."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return f"protoscore.receive({json.dumps(path)},{text});\n".encode()


def packed(column: npt.NDArray[Any]) -> dict[str, str]:
    """A column as a script holds it: its kind (u1, u2, i2, u4 or f4), and base64 of its bytes.

    Numbers are little-endian, as in every browser.
    """
    kind = column.dtype.str[1:]
    data = np.ascontiguousarray(column, dtype=_KINDS[kind])
    return {"kind": kind, "data": base64.b64encode(data.data).decode()}
