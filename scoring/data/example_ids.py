"""Example ids: every source piece owns a range of them from the night it is first seen.

Ids go to whole pieces, in row order from 0. A piece keeps its range from night to night as long as
its row count stays the same; the last range may grow in place; after any other change of length
the piece gets a new range at the end. Ranges are never reused, not even those of pieces that have
disappeared.
"""

import re
from bisect import bisect, insort
from collections.abc import Mapping, Sequence

from scoring.data.sources import Piece
from scoring.errors import BadData

_PIECE_ID = re.compile(r".*@[0-9]{1,18}", re.DOTALL)
_LAST_ID = 2**63 - 1  # ids are 64-bit integers
Ranges = Mapping[str, tuple[int, int]]
"""Source piece (`file@start`) to its (first example id, rows)."""


def piece_id(piece: Piece) -> str:
    """Return the name that identifies a piece from night to night."""
    return f"{piece.file}@{piece.start}"


def allot(pieces: Sequence[Piece], seen: Sequence[Ranges]) -> dict[str, tuple[int, int]]:
    """Allot id ranges to all pieces; include the latest range of each piece that has disappeared.

    Args:
        pieces: all pieces of a split, in row order.
        seen: the ranges of every earlier version, in any order. Two jobs running at once may have
            given the same ids to different pieces; then the first piece keeps them.
    """
    known: dict[str, set[tuple[int, int]]] = {}
    for ranges in seen:
        for name, (first, rows) in ranges.items():
            known.setdefault(name, set()).add((first, rows))
    free = max((first + rows for earlier in known.values() for first, rows in earlier), default=0)
    taken: list[tuple[int, int]] = []
    allotted = {}
    for piece in pieces:
        name = piece_id(piece)
        earlier = sorted(known.get(name, ()), reverse=True)
        same = [first for first, rows in earlier if rows == piece.rows]
        grown = [first for first, rows in earlier if first + rows == free and rows < piece.rows]
        available = (f for f in [*same, *grown] if _is_free(taken, f, f + piece.rows))
        first = next(available, free)
        insort(taken, (first, first + piece.rows))
        free = max(free, first + piece.rows)
        allotted[name] = (first, piece.rows)
    vanished = {name: max(earlier) for name, earlier in known.items() if name not in allotted}
    return {**vanished, **allotted}


def check_ranges(ranges: Ranges) -> None:
    """Refuse ranges that were never allotted, which a file may hold.

    Raises:
        ValueError: naming the piece.
    """
    for name, (first, rows) in ranges.items():
        if not _PIECE_ID.fullmatch(name):
            raise ValueError(f"ranges: expected names such as file@0, got {name!r}")
        if not 0 <= first <= first + rows <= _LAST_ID:
            raise ValueError(f"ranges: expected ids from 0 on, got {rows} from {first} for {name}")


def check_cut(shard_rows: int, seen: Sequence[Ranges]) -> None:
    """Refuse a shard size that would cut files differently from before and so change ids.

    Raises:
        BadData: naming the shard size that keeps every id.
    """
    known = [(name, rows) for ranges in seen for name, (_, rows) in ranges.items()]
    for name, rows in known:
        if int(name.rpartition("@")[2]) % shard_rows or rows > shard_rows:
            before = max(rows for _, rows in known)
            raise BadData(
                f"--shard-rows: expected {before}, which this dataset was cut with before, got "
                f"{shard_rows}; another size would change example ids, so it needs another --name"
            )


def _is_free(taken: Sequence[tuple[int, int]], first: int, stop: int) -> bool:
    """Whether [first, stop) overlaps none of the `taken` ranges, which are sorted and disjoint."""
    after = bisect(taken, (first, stop))
    before_ends = after == 0 or taken[after - 1][1] <= first
    after_starts = after == len(taken) or taken[after][0] >= stop
    return before_ends and after_starts
