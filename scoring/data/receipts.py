"""Receipts: which shard an ingested piece of a source became, so that no night reads it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from scoring.data.corrections import Correction
from scoring.data.shards import ShardRecord
from scoring.store.keys import digest
from scoring.store.layout import receipt_path


@dataclass(frozen=True, kw_only=True)
class Receipt(ShardRecord):
    """What a receipt holds."""

    whole: str = ""
    """Key that the receipt of the whole piece would have, with the source's labels; "" if the
    receipt's own."""

    @property
    def record(self) -> ShardRecord:
        """The shard's record."""
        return ShardRecord(**{name: v for name, v in vars(self).items() if name != "whole"})


def receipt_of(
    dataset: str,
    whole: str,
    part: tuple[int, int] | None = None,
    corrections: Sequence[Correction] = (),
) -> str:
    """Return the path of the receipt of a piece, or of a part of it.

    Args:
        dataset: the dataset's name in the store.
        whole: key of the receipt of the whole piece, with the source's labels.
        part: first example id and rows of the part between forgotten rows; None: the whole piece.
        corrections: those in force for its rows.
    """
    key = whole if part is None else digest([whole, *part])
    if corrections:
        key = digest([key, corrections])
    return receipt_path(dataset, key)
