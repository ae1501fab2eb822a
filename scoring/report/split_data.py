"""The data of a split: what pages ask for metric by metric, and a few examples at a time.

data/<split>.js                    shards, metrics and how images are packed
data/<split>/rankings/<metric>.js  positions in order of rank, with their percentiles
data/<split>/answers/<number>.js   labels and predictions, where metrics share them once
data/<split>/sets.js               example sets with their maps
data/<split>/names.js              the user's own names
data/<split>/rows/<shard>-<n>.js   all that is known of `ROWS` examples
data/<split>/packs/<shard>-<n>.webp  a few examples as they look; of texts a script (.js)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scoring.data.shapes import InputShape
from scoring.data.shard_parts import read_columns
from scoring.data.shards import reading
from scoring.report.facts import SplitReport
from scoring.report.folder import Folder
from scoring.report.packs import Packing, pack_files
from scoring.report.positions import PlacedShard
from scoring.report.score_columns import rows_of
from scoring.report.scripts import as_script
from scoring.report.set_maps import Memberships, memberships
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage

ROWS = 250
"""Examples of a file of rows."""
_AT_ONCE = 4  # shards, each with a pack of images in memory
Name = str | None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What all shards of a split share."""

    storage: Storage
    folder: Folder
    of: SplitReport
    packings: Mapping[InputShape, Packing]
    members: Memberships


def write_split(
    storage: Storage, of: SplitReport, packings: Mapping[InputShape, Packing], folder: Folder
) -> None:
    """Write all files of a split.

    Args:
        storage: where its examples are.
        of: what is said of it.
        packings: how examples of each of its shapes are packed.
        folder: of the report.
    """
    name = f"data/{of.split}"
    answers: dict[tuple[bytes, bytes], int] = {}
    about: dict[str, dict[str, Any]] = {}
    for metric, columns in of.columns.items():
        _script(folder, f"{name}/rankings/{metric}.js", columns.ranking())
        these = columns.label.tobytes(), columns.predicted.tobytes()
        if these not in answers:
            answers[these] = len(answers)
            _script(folder, f"{name}/answers/{answers[these]}.js", columns.answers())
        about[metric] = {"version": of.made_of[metric], "answers": answers[these]}
    if of.sets:
        _script(folder, f"{name}/sets.js", of.sets.data())
    _script(folder, f"{name}.js", _index(of, packings, about))
    job = _Job(
        storage=storage, folder=folder, of=of, packings=packings, members=memberships(of.sets)
    )
    numbered = range(len(of.positions.shards))
    _write_names(
        job, f"{name}/names.js", in_parallel(partial(_write_shard, job), numbered, _AT_ONCE)
    )


def _index(
    of: SplitReport, packings: Mapping[InputShape, Packing], about: Mapping[str, Any]
) -> dict[str, Any]:
    shards = of.positions.shards
    looks = list(packings)
    return {
        "metrics": about,
        "current": of.version.version,
        "versions": {key: of.positions.numbers(version) for key, version in of.versions.items()},
        "shards": [
            [s.record.first_id, s.record.rows, looks.index(s.version.shape)] for s in shards
        ],
        "looks": [packing.about() for packing in packings.values()],
        "rows": ROWS,
        "statuses": of.statuses,
    }


def _write_shard(job: _Job, number: int) -> list[Name]:
    """Write packs and rows of a shard; returns the names of its rows."""
    shard = job.of.positions.shards[number]
    where = f"data/{job.of.split}"
    stem = f"{where}/packs/{number}"
    with reading(job.storage, shard.version.name, shard.record):
        for path, pack in pack_files(job.storage, shard, job.packings, stem):
            job.folder.write(path, pack)
        table = read_columns(job.storage, shard.version.name, shard.record, ["name"])
    names: list[Name] = table["name"].to_pylist()
    for n, first in enumerate(range(0, len(names), ROWS)):
        path = f"{where}/rows/{number}-{n}.js"
        _script(job.folder, path, _rows(job, shard, first, names[first : first + ROWS]))
    return names


def _rows(job: _Job, shard: PlacedShard, first: int, names: Sequence[Name]) -> dict[str, Any]:
    rows = slice(shard.start + first, shard.start + first + len(names))
    return {
        "names": names,
        **rows_of(job.of.columns, rows),
        "sets": job.members.of(rows),
        "explained": job.of.explained.of(rows),
    }


def _write_names(job: _Job, path: str, shards: Any) -> None:  # noqa: ANN401
    """All names in one file, which grows shard by shard."""
    with job.folder.writing(path) as file:
        start, end = as_script(path, []).split(b"[]")
        file.write(start + b"[")
        for number, names in enumerate(shards):
            text = json.dumps(names, separators=(",", ":"), ensure_ascii=False)[1:-1]
            file.write((b"," if number else b"") + text.encode())
        file.write(b"]" + end)


def _script(folder: Folder, path: str, data: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    folder.write(path, as_script(path, data))
