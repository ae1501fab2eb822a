"""The data files of a split, small enough for pages to load only what they show.

data/<split>.js                      shards, metrics and packings
data/<split>/rankings/<metric>.js    positions in order of rank, with their percentiles
data/<split>/answers/<number>.js     labels and predictions; metrics with the same ones share a file
data/<split>/issues.js               labels to look at, the likeliest mistake first
data/<split>/changes/<metric>.js     what changed since the night before
data/<split>/sets.js                 example sets and their maps
data/<split>/names.js                the user's own names
data/<split>/rows/<shard>-<n>.js     scores, sets and explanations of `ROWS` examples
data/<split>/packs/<shard>-<n>.webp  images of a few examples; a script (.js) for texts
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from scoring.arrays import Floats
from scoring.data.shapes import InputShape
from scoring.data.shard_parts import read_columns
from scoring.data.shards import reading
from scoring.report.facts import SplitReport
from scoring.report.folder import Folder
from scoring.report.packs import Packing, pack_files
from scoring.report.positions import PlacedShard
from scoring.report.score_columns import MetricColumns, pack_rows
from scoring.report.scripts import as_script
from scoring.report.set_maps import Memberships, memberships
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage

ROWS = 250
"""Examples in a file of rows."""
_AT_ONCE = 4  # shards written in parallel, each with one pack in memory
Name = str | None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What the shards of a split have in common."""

    storage: Storage
    folder: Folder
    report: SplitReport
    packings: Mapping[InputShape, Packing]
    members: Memberships


def write_split(
    storage: Storage, report: SplitReport, packings: Mapping[InputShape, Packing], folder: Folder
) -> None:
    """Write all files of a split.

    Args:
        storage: holds the examples.
        report: everything else that is known about the split.
        packings: how to pack the examples of each shape.
        folder: the report's folder.
    """
    name = f"data/{report.split}"
    metrics = _write_metrics(report, name, folder)
    if report.labels:
        _script(folder, f"{name}/issues.js", report.labels.data())
    if report.sets:
        _script(folder, f"{name}/sets.js", report.sets.data())
    _script(folder, f"{name}.js", _index(report, packings, metrics))
    job = _Job(
        storage=storage,
        folder=folder,
        report=report,
        packings=packings,
        members=memberships(report.sets),
    )
    shards = range(len(report.positions.shards))
    names = in_parallel(partial(_write_shard, job), shards, _AT_ONCE)
    _write_names(folder, f"{name}/names.js", names)


def _write_metrics(report: SplitReport, name: str, folder: Folder) -> dict[str, dict[str, Any]]:
    """Write the files of each metric; return what the split's index says of it."""
    answers: dict[tuple[bytes, bytes], int] = {}
    metrics: dict[str, dict[str, Any]] = {}
    for metric, columns in report.columns.items():
        _script(folder, f"{name}/rankings/{metric}.js", columns.ranking())
        content = columns.label.tobytes(), columns.predicted.tobytes()
        if content not in answers:
            answers[content] = len(answers)
            _script(
                folder,
                f"{name}/answers/{answers[content]}.js",
                columns.answers(_probability(report, columns)),
            )
        if metric in report.changes:
            _script(folder, f"{name}/changes/{metric}.js", report.changes[metric].data())
        metrics[metric] = {"version": report.scored_on[metric], "answers": answers[content]}
    return metrics


def _probability(report: SplitReport, columns: MetricColumns) -> Floats | None:
    """Return what models that did not see an example make of its predicted class."""
    if report.labels is None:
        return None
    return report.labels.probabilities.of(columns.predicted.astype(np.int64))


def _index(
    report: SplitReport, packings: Mapping[InputShape, Packing], metrics: Mapping[str, Any]
) -> dict[str, Any]:
    positions, shapes = report.positions, list(packings)
    return {
        "metrics": metrics,
        "current": report.version.version,
        "versions": {key: positions.shards_of(v) for key, v in report.versions.items()},
        "shards": [
            [s.record.first_id, s.record.rows, shapes.index(s.version.shape)]
            for s in positions.shards
        ],
        "packings": [packing.describe() for packing in packings.values()],
        "rows": ROWS,
        "statuses": report.statuses,
        "changed": list(report.changes),
        "judged": report.labels.version if report.labels else None,
    }


def _write_shard(job: _Job, number: int) -> list[Name]:
    """Write the packs and rows of a shard; return the names of its examples."""
    shard = job.report.positions.shards[number]
    split = f"data/{job.report.split}"
    with reading(job.storage, shard.version.name, shard.record):
        stem = f"{split}/packs/{number}"
        for path, pack in pack_files(job.storage, shard, job.packings, stem):
            job.folder.write(path, pack)
        table = read_columns(job.storage, shard.version.name, shard.record, ["name"])
    names: list[Name] = table["name"].to_pylist()
    for n, first in enumerate(range(0, len(names), ROWS)):
        path = f"{split}/rows/{number}-{n}.js"
        _script(job.folder, path, _rows(job, shard, first, names[first : first + ROWS]))
    return names


def _rows(job: _Job, shard: PlacedShard, first: int, names: Sequence[Name]) -> dict[str, Any]:
    rows = slice(shard.start + first, shard.start + first + len(names))
    return {
        "names": names,
        **pack_rows(job.report.columns, rows),
        "sets": job.members.within(rows),
        "explained": job.report.explanations.within(rows),
        **(job.report.labels.within(rows) if job.report.labels else {}),
    }


def _write_names(folder: Folder, path: str, shards: Iterable[Sequence[Name]]) -> None:
    """Write all names to one file, shard by shard."""
    with folder.writing(path) as file:
        start, end = as_script(path, []).split(b"[]")
        file.write(start + b"[")
        for number, names in enumerate(shards):
            text = json.dumps(names, separators=(",", ":"), ensure_ascii=False)[1:-1]
            file.write((b"," if number else b"") + text.encode())
        file.write(b"]" + end)


def _script(folder: Folder, path: str, data: Any) -> None:  # noqa: ANN401 - any JSON value
    folder.write(path, as_script(path, data))
