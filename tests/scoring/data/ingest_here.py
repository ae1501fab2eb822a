"""Ingest without Ray: the same steps as the job takes on a cluster, in this process."""

from scoring.data.ingest import assemble, ingest_piece, remember_layout, survey
from scoring.data.parquet_source import ParquetSource
from scoring.store.keys import SPLITS


def survey_splits(source, storage, train=None, test=None):
    """Survey both splits; `train` and `test` are limits."""
    return survey(source, storage, {"train": train, "test": test}.get)


def ingest(source, storage, train=None, test=None, max_corrupt=0.05):
    """Survey both splits, ingest missing pieces and save; return each split's version."""
    surveys = survey_splits(source, storage, train, test)
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
    """Return a Parquet source named `mine`, in shards of four rows."""
    return ParquetSource(**{"name": "mine", "shard_rows": 4, **options}, train=train, test=test)


def missing(surveys):
    """List the pieces that a survey found missing, as `split/file@start`."""
    return [
        f"{split}/{shard.piece.file}@{shard.piece.start}"
        for split in SPLITS
        for shard in surveys[split].missing
    ]
