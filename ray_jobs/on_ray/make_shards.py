"""Turns the pieces of a source that no night has seen into shards of the store.

protoscore ingest --dataset parquet --train DIR --test DIR --store s3://bucket/prefix
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayTaskError

from ray_jobs.jobs.progress import Progress
from scoring.data.ingest import PlannedShard, Survey, assemble, ingest_piece, remember_layout
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Source
from scoring.data.versions import DatasetVersion
from scoring.errors import IncompleteError, UserError
from scoring.store.keys import Split
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class _Ingest:
    """One piece to one shard, on a worker."""

    source: Source
    storage: Storage
    layout: Layout
    until: float

    def __call__(self, row: dict[str, PlannedShard]) -> dict[str, Any]:
        planned = row["item"]
        if time.time() >= self.until:
            return {"receipt": planned.receipt, "record": None}
        record = ingest_piece(self.source, self.storage, self.layout, planned)
        return {"receipt": planned.receipt, "record": record}


def ingest(
    source: Source,
    storage: Storage,
    surveys: Mapping[Split, Survey],
    max_corrupt: float,
    until: float = math.inf,
) -> dict[Split, DatasetVersion]:
    """Make the shards that are missing, then write each split's version.

    Args:
        source: where the examples are.
        storage: the store.
        surveys: both splits, compared with the store.
        max_corrupt: largest share of undecodable images to accept, in [0, 1].
        until: time (seconds since the epoch) after which no shard is begun.

    Raises:
        UserError: the data cannot be used; shards already made stay for the next try.
        IncompleteError: the time was over; likewise.
    """
    layout = surveys["train"].layout
    missing = [shard for survey in surveys.values() for shard in survey.missing]
    task = _Ingest(source=source, storage=storage, layout=layout, until=until)
    made = _make_shards(task, missing) if missing else {}
    if len(made) < len(missing):
        raise IncompleteError(
            f"--max-hours: the time was over with {len(made)} of {len(missing)} shards ingested; "
            "the same command goes on"
        )
    remember_layout(source, storage, layout)
    versions = {s: assemble(survey, made.items(), max_corrupt) for s, survey in surveys.items()}
    for version in versions.values():
        version.save(storage)
    return versions


def _make_shards(task: _Ingest, missing: list[PlannedShard]) -> dict[str, ShardRecord]:
    rows = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
        task, **(_where_the_files_are() if task.source.local else {})
    )
    made: dict[str, ShardRecord] = {}
    try:
        with Progress("ingest", len(missing), "shard") as progress:
            for row in rows.iter_rows():
                if row["record"]:
                    made[row["receipt"]] = row["record"]
                    progress.advance()
    except RayTaskError as error:
        cause = _user_error(error)
        raise cause from None if cause is not error else error
    return made


def _where_the_files_are() -> dict[str, Any]:
    """Options that keep tasks on the driver's node, be it a head that takes no other work."""
    here = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    has = next(node["Resources"] for node in nodes if node["NodeID"] == here)
    # Ray names a resource after each node.
    name = next(n for n in has if n.startswith("node:") and n != "node:__internal_head__")
    return {"resources": {name: 0.001}, "num_cpus": min(1.0, has.get("CPU", 0.0))}


def _user_error(error: BaseException) -> BaseException:
    """The user's mistake that a task reported, or the error as it is."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return UserError(str(seen.args[0]) if seen.args else str(seen))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error
