"""Ingest without Ray: what the job does on a cluster, piece by piece in this process."""

from scoring.data.ingest import assemble, ingest_piece, remember_layout, survey
from scoring.data.parquet_source import ParquetSource
from scoring.store.keys import SPLITS


def look(source, storage, train=None, test=None):
    """Survey both splits; `train` and `test` are limits."""
    return survey(source, storage, {"train": train, "test": test}.get)


def ingest(source, storage, train=None, test=None, max_corrupt=0.05):
    """Survey, make what is missing, save; returns each split's version."""
    surveys = look(source, storage, train, test)
    layout = surveys["train"].layout
    made = {
        shard.receipt: ingest_piece(source, storage, layout, shard)
        for split in SPLITS
        for shard in surveys[split].missing
    }
    remember_layout(source, storage, layout)
    versions = {s: assemble(surveys[s], made.items(), max_corrupt) for s in SPLITS}
    for version in versions.values():
        version.save(storage)
    return versions


def parquet(train, test, **options):
    """A Parquet source named `mine`, in shards of four rows."""
    return ParquetSource(**{"name": "mine", "shard_rows": 4, **options}, train=train, test=test)


def missing(surveys):
    """Pieces that a survey would have read, as `split/file@start`."""
    return [
        f"{split}/{shard.piece.file}@{shard.piece.start}"
        for split in SPLITS
        for shard in surveys[split].missing
    ]
