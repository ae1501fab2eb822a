"""Example ids: every source piece owns a range of them, from the night it is first seen.

Ids are allotted to whole pieces, in row order from 0. A piece keeps its range from night to night
while its row count holds; the last range may grow in place; any other change of length takes a new
range at the end. Ranges are never reused, those of vanished pieces included.
"""

from bisect import bisect, insort
from collections.abc import Mapping, Sequence

from scoring.data.sources import Piece
from scoring.errors import BadData

Ranges = Mapping[str, tuple[int, int]]
"""Source piece (`file@start`) to its (first example id, rows)."""


def piece_id(piece: Piece) -> str:
    """What a piece is called from night to night."""
    return f"{piece.file}@{piece.start}"


def allot(pieces: Sequence[Piece], seen: Sequence[Ranges]) -> dict[str, tuple[int, int]]:
    """Id ranges for all pieces, and the last ones of vanished pieces.

    Args:
        pieces: all pieces of a split, in row order.
        seen: the ranges of every earlier version, in any order. Two jobs at once may have given
            the same ids to different pieces; then the first piece keeps them.
    """
    known: dict[str, set[tuple[int, int]]] = {}
    for ranges in seen:
        for name, (first, rows) in ranges.items():
            known.setdefault(name, set()).add((first, rows))
    free = max((first + rows for found in known.values() for first, rows in found), default=0)
    taken: list[tuple[int, int]] = []
    allotted = {}
    for piece in pieces:
        name = piece_id(piece)
        earlier = sorted(known.get(name, ()), reverse=True)
        same = [first for first, rows in earlier if rows == piece.rows]
        grows = [first for first, rows in earlier if first + rows == free and rows < piece.rows]
        untaken = (f for f in [*same, *grows] if _is_free(taken, f, f + piece.rows))
        first = next(untaken, free)
        insort(taken, (first, first + piece.rows))
        free = max(free, first + piece.rows)
        allotted[name] = (first, piece.rows)
    vanished = {name: max(found) for name, found in known.items() if name not in allotted}
    return {**vanished, **allotted}


def check_cut(shard_rows: int, seen: Sequence[Ranges]) -> None:
    """Refuse to cut files otherwise than before, which would give their rows other ids.

    Raises:
        BadData: naming the shard size that moves no id.
    """
    known = [(name, rows) for ranges in seen for name, (_, rows) in ranges.items()]
    for name, rows in known:
        if int(name.rpartition("@")[2]) % shard_rows or rows > shard_rows:
            before = max(rows for _, rows in known)
            raise BadData(
                f"--shard-rows: expected {before}, as this dataset was cut before, got "
                f"{shard_rows}; another cut moves ids, so it wants another --name"
            )


def _is_free(taken: Sequence[tuple[int, int]], first: int, stop: int) -> bool:
    """Whether [first, stop) overlaps none of the ranges, which are sorted and disjoint."""
    after = bisect(taken, (first, stop))
    before_ends = after == 0 or taken[after - 1][1] <= first
    after_starts = after == len(taken) or taken[after][0] >= stop
    return before_ends and after_starts
