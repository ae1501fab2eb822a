"""Models that were trained on forgotten examples, and how to have others instead."""

import shlex
from collections.abc import Collection

from scoring.runs.record import RunRecord
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import DATASETS, RUNS, run_path, stem, versions_folder
from scoring.store.records import read_sound_records
from scoring.store.storage import Storage
from scoring.tables.publish import published
from scoring.tables.store import Store

_MODELS = "--models"


def models_of(storage: Storage, split: Split, versions: Collection[str]) -> tuple[str, ...]:
    """Return the runs that may have been trained on examples of a split.

    Those trained on a part of the split count too, and those trained on a slice of any dataset.

    Args:
        storage: the store.
        split: of the examples.
        versions: the dataset versions that hold them.
    """
    known = {
        stem(name).partition(".")[0]
        for dataset in storage.names(DATASETS)
        for each in SPLITS
        for name in storage.names(versions_folder(dataset, each))
    }
    paths = [run_path(run) for run in sorted(storage.names(RUNS))]
    found = []
    for record in read_sound_records(storage, paths, RunRecord).values():
        if split in record.spec.splits():
            version = record.versions.get(split, "")
            if version in versions or version not in known:
                found.append(record.key)
    return tuple(found)


def retraining(storage: Storage, dataset: str) -> str:
    """Return the command that trains other models for a dataset; "" if nothing is published."""
    manifests = [
        manifest
        for manifest in published(storage).values()
        if manifest.settings.get("dataset") == dataset
    ]
    if not manifests:
        return ""
    newest = max(manifests, key=lambda manifest: manifest.night_id)
    nights = Store(storage.uri).nights().to_pylist()
    command = next((n["command"] for n in nights if n["night_id"] == newest.night_id), "")
    words = shlex.split(command)
    if _MODELS in words:
        at = words.index(_MODELS)
        del words[at : at + 2]
    return " ".join(map(shlex.quote, [*words, _MODELS, "retrain"])) if words else ""
