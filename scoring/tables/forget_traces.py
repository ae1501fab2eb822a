"""Files that hold forgotten examples besides shards and tables: what was computed on the way.

All of them can be made again, or were never finished, so what cannot be told apart goes too.
"""

from collections.abc import Iterator

from scoring.data.forgotten import Certificate, holds_ids
from scoring.store import layout
from scoring.store.file_kinds import is_of_sample, is_ours, is_tally, is_training, run_of
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage
from scoring.tables.publish import published


def traces(storage: Storage, certificate: Certificate) -> list[str]:
    """List the files to remove: logits, features, staged scores and explanations, remains of jobs.

    No other job may be using the store: unfinished files are taken for those of dead jobs.
    """
    return [
        *_of_shards(storage, certificate),
        *_with_ids(storage, certificate),
        *_remains(storage),
    ]


def _of_shards(storage: Storage, certificate: Certificate) -> Iterator[str]:
    """Yield logits and features of the shards, and logits of samples of any shard."""
    for folder in (layout.OUTPUTS, layout.FEATURES):
        for path in storage.ours(folder):
            name = layout.stem(path)
            if name in certificate.shards or is_of_sample(path):
                yield path


def _with_ids(storage: Storage, certificate: Certificate) -> list[str]:
    """List staged scores and explanations with the ids.

    Their names do not tell their split, so some may be of other examples; scores that another
    dataset or split is published from stay.
    """
    others = {
        path
        for manifest in published(storage).values()
        if (manifest.settings.get("dataset"), manifest.partition.split)
        != (certificate.dataset, certificate.split)
        for path in manifest.staged
    }
    wanted = [(path, ["example_id"]) for path in storage.ours(layout.STAGING)]
    wanted += [(path, ["test_id", "train_id"]) for path in storage.ours(layout.EXPLANATIONS)]

    def check(pair: tuple[str, list[str]]) -> tuple[str, bool]:
        path, columns = pair
        return path, path not in others and holds_ids(storage, path, columns, certificate.ids)

    return [path for path, holds in in_parallel(check, wanted) if holds]


def _remains(storage: Storage) -> Iterator[str]:
    """Yield what dead jobs and damage left: unfinished and damaged files, trainings, tallies."""
    for folder in layout.TOP_FOLDERS:
        for file in storage.walk(folder):
            if is_ours(file.path) and (file.is_unfinished or folder == layout.DAMAGED):
                yield file.path
    runs = storage.ours(layout.RUNS)
    finished = {run_of(path) for path in runs if path == layout.run_path(run_of(path))}
    for path in runs:
        if (is_training(path) or is_tally(path)) and run_of(path) not in finished:
            yield path
