"""A reader for each kind of file in a store, as jobs read it."""

from collections.abc import Callable
from typing import Any

from ray_jobs.jobs.job_record import load_jobs
from scoring.data.corrections import in_force
from scoring.data.ingest import Layout
from scoring.data.reviews import load_queue
from scoring.data.shard_parts import read_columns, read_files
from scoring.data.shards import ShardRecord, read_shard
from scoring.data.versions import load_training_set, load_version
from scoring.errors import Damaged
from scoring.runs.at_rest import load_layer
from scoring.runs.record import load_model, load_record, load_weights
from scoring.runs.tally_file import read_tally
from scoring.staged.features import read_features
from scoring.staged.scores import read_logits, read_scores
from scoring.store.mark import check_marked
from scoring.store.records import read_json, read_sound_records
from scoring.store.sealed import read_sealed, read_sound
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.delta import files, open_table
from scoring.tables.explanations import read_explanations
from scoring.tables.log_check import METADATA
from scoring.tables.log_entries import commit_info, log_entries
from scoring.tables.publish import read_manifest
from scoring.training.checkpoints import from_bytes

Reader = Callable[[Storage, str], Any]


def records(kind: type) -> Reader:
    """Read a record that is passed over, and named in a warning, if it is damaged."""

    def read(storage: Storage, path: str) -> object:
        if not (found := read_sound_records(storage, [path], kind)):
            raise Damaged(path)
        return found[path]

    return read


def tensors(data: bytes) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in from_bytes(data).items()}


def mark(storage: Storage, path: str) -> object:
    check_marked(storage)
    return storage.has_unsealed_files


def alone(storage: Storage, path: str) -> str:
    """Remove the copy of a record, or the record of a copy, and return its name."""
    stem, copied = path.removesuffix(".json").removesuffix(".copy"), path.endswith(".copy.json")
    storage.remove([f"{stem}.json" if copied else f"{stem}.copy.json"])
    return stem.rpartition("/")[2]


def version(storage: Storage, path: str) -> object:
    return load_version(storage, "digits", "train", alone(storage, path))


def correction(storage: Storage, path: str) -> object:
    alone(storage, path)
    return in_force(storage, "digits")


def review(storage: Storage, path: str) -> object:
    return load_queue(storage, alone(storage, path))


def shard(storage: Storage, path: str) -> object:
    stem = path.rpartition("/")[2].removesuffix(".parquet")
    versions = [
        load_version(storage, "digits", split, name.partition(".")[0])
        for split in ("train", "test")
        for name in storage.names(f"datasets/digits/{split}")
    ]
    found = ((v.shape, record) for v in versions for record in v.shards if record.content == stem)
    shape, record = next(found)
    whole = read_shard(storage, "digits", record, shape)
    columns = read_columns(storage, "digits", record, ["example_id", "label", "name"])
    parts = [table.to_pylist() for table in read_files(storage, "digits", record, shape)]
    return whole.ids.tolist(), whole.labels.tolist(), whole.inputs.tobytes(), columns, parts


def run_of(path: str) -> str:
    return path.split("/")[1]


def epoch(storage: Storage, path: str) -> object:
    model = load_model(storage, load_record(storage, run_of(path)), "cpu", epoch=2)
    return {name: value.tolist() for name, value in model.state_dict().items()}


def training(storage: Storage, path: str) -> object:
    found = read_sound(storage, [path])
    if not found:
        raise Damaged(path)
    return tensors(found[path])


def tally(storage: Storage, path: str) -> object:
    record = load_record(storage, run_of(path))
    data = load_training_set(storage, load_version(storage, "digits", *record.versions.popitem()))
    return repr(read_tally(storage, record, data.ids, data.labels))


def layer(storage: Storage, path: str) -> object:
    rest, evidence = load_layer(storage, load_record(storage, run_of(path)))
    return rest.weights.tolist(), evidence


def weights(storage: Storage, path: str) -> object:
    found = load_weights(storage, run_of(path))
    return {name: value.tolist() for name, value in found.items()}


def features(storage: Storage, path: str) -> object:
    found = read_features(storage, path)
    return [column.tolist() for column in vars(found).values()]


def scores(storage: Storage, path: str) -> object:
    found = read_scores(storage, path)
    return found.ids.tolist(), repr(found.value.tolist()), found.status.tolist(), found.scored_at


def table(name: str) -> Reader:
    def read(storage: Storage, path: str) -> object:
        return Store(storage.uri).sql(f"select * from {name} order by all").to_pylist()

    return read


def manifest(storage: Storage, path: str) -> object:
    return read_manifest(storage, f"{alone(storage, path)}.parquet")


def jobs(storage: Storage, path: str) -> object:
    if len(found := load_jobs(storage)) < len(storage.names("jobs")):
        raise Damaged(path)
    return found


def log(storage: Storage, path: str) -> object:
    opened = open_table(storage, path.split("/")[1])
    assert opened is not None
    listed = sorted(file["path"] for file in files(opened))
    entries = log_entries(storage, path.split("/")[1])
    told = {v: {key: commit_info(e).get(key) for key in METADATA} for v, e in entries.items()}
    return listed, told, opened.metadata().configuration


READ: dict[str, Reader] = {
    "mark": mark,
    "version": version,
    "version copy": version,
    "receipt": records(ShardRecord),
    "layout": records(Layout),
    "shard": shard,
    "correction": correction,
    "correction copy": correction,
    "import": lambda storage, path: tensors(read_sealed(storage, path)),
    "run.json": lambda storage, path: load_record(storage, run_of(path)),
    "model": weights,
    "epoch": epoch,
    "training": training,
    "tally": tally,
    "layer": layer,
    "layer.json": layer,
    "logits": lambda storage, path: read_logits(storage, path).tolist(),
    "features": features,
    "staged scores": scores,
    "staged predictions": scores,
    "staged explanations": lambda storage, path: read_explanations(storage, path).to_pylist(),
    "scores": table("scores"),
    "nights": table("nights"),
    "runs": table("runs"),
    "evaluations": table("evaluations"),
    "probabilities": table("probabilities"),
    "issues": table("issues"),
    "verdicts": table("verdicts"),
    "representers": table("representers"),
    "manifest": manifest,
    "manifest copy": manifest,
    "night record": read_json,
    "review": review,
    "review copy": review,
    "job record": jobs,
    "log entry": log,
    "old log entry": log,
    "log of nights": log,
    "log of representers": log,
}
