"""Texts of very many rows: 8 bytes a row in memory, the texts themselves in a temporary file."""

import mmap
import tempfile
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def texts_on_disk(parts: Iterable[pa.Array], rows: int) -> pa.LargeStringArray:
    """Texts one after the other, as an array whose characters the kernel pages in when asked for.

    Args:
        parts: arrays of strings, nulls where there is none; one is in memory at a time.
        rows: how many there are in all.
    """
    ends = np.zeros(rows + 1, dtype=np.int64)
    known = np.zeros(rows, dtype=np.bool_)
    at = 0
    with tempfile.TemporaryFile() as file:
        for part in parts:
            until = at + len(part)
            lengths = pc.binary_length(part).fill_null(0).to_numpy(zero_copy_only=False)
            ends[at + 1 : until + 1] = ends[at] + np.cumsum(lengths)
            known[at:until] = part.is_valid().to_numpy(zero_copy_only=False)
            file.write("".join(part.fill_null("").to_pylist()).encode())
            at = until
        file.flush()
        # Pages that were read may be dropped again: memory is lent, not held.
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if ends[at] else b""
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(held), valid)
