"""Strings of very many rows: 8 bytes a row in memory, the characters in a temporary file.

Arrow's own IPC files in a memory map would hold chunks, and `take` on chunks of strings copies them
all into memory first (measured with pyarrow 26: 88 MB for 2e6 names of 40 characters, against none
here).
"""

import mmap
import tempfile
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.store.scratch_place import disk_errors, scratch_parent


def strings_on_disk(parts: Iterable[pa.Array], rows: int, scratch: str = "") -> pa.LargeStringArray:
    """Concatenate strings into one array whose characters the kernel pages in on demand.

    Args:
        parts: arrays of strings or nulls; one is in memory at a time.
        rows: how many strings there are in all.
        scratch: the folder that --scratch names.

    Raises:
        Outage: its disk is full.
    """
    ends = np.zeros(rows + 1, dtype=np.int64)
    known = np.zeros(rows, dtype=np.bool_)
    at = 0
    place = scratch_parent(scratch)
    # The file has no name, so nobody else can have planted it, and it vanishes with this process.
    with disk_errors(place, 0), tempfile.TemporaryFile(dir=place) as file:
        for part in parts:
            until = at + len(part)
            lengths = pc.binary_length(part).fill_null(0).to_numpy(zero_copy_only=False)
            ends[at + 1 : until + 1] = ends[at] + np.cumsum(lengths)
            known[at:until] = part.is_valid().to_numpy(zero_copy_only=False)
            file.write("".join(part.fill_null("").to_pylist()).encode())
            at = until
        file.flush()
        # The kernel may drop pages once they are read, so they do not count as memory held.
        characters = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if ends[at] else b""
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    buffers = (pa.py_buffer(ends), pa.py_buffer(characters), valid)
    return pa.LargeStringArray.from_buffers(rows, *buffers)
