"""Ray Data turns pieces of a source into shards of the store."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from ray_jobs.jobs.pace import Pace
from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import TASK_RETRIES
from ray_jobs.on_ray.errors import telling
from ray_jobs.on_ray.metering import IsOver, never
from ray_jobs.on_ray.waiting import asking
from scoring.data.ingest import PlannedShard, ingest_piece
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Source
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class _Ingest:
    """Turns one piece into one shard, on a worker."""

    source: Source
    storage: Storage
    layout: Layout
    is_over: IsOver

    @telling
    def __call__(self, row: dict[str, PlannedShard]) -> dict[str, Any]:
        planned, record = row["item"], None
        began = time.perf_counter()
        if not self.is_over():
            record = ingest_piece(self.source, self.storage, self.layout, planned)
        seconds = time.perf_counter() - began
        return {"receipt": planned.receipt, "record": record, "seconds": seconds}


def make_shards(
    source: Source,
    storage: Storage,
    layout: Layout,
    missing: Sequence[PlannedShard],
    is_over: IsOver = never,
) -> dict[str, ShardRecord]:
    """Make shards, a task for each; for arguments see `ray_jobs.engine.Engine.make_shards`."""
    task = _Ingest(source=source, storage=storage, layout=layout, is_over=is_over)
    rows = ray.data.from_items(list(missing), override_num_blocks=len(missing)).map(
        task, **TASK_RETRIES, **(_on_the_drivers_node() if source.local else {})
    )
    made: dict[str, ShardRecord] = {}
    with (
        asking("ingest", "a reader", {"CPU": 1}),
        Progress("ingest", len(missing), "shard") as progress,
    ):
        for row in rows.iter_rows():
            if row["record"]:
                made[row["receipt"]] = record = row["record"]
                pace = Pace(kind="ingest", amount=record.rows, seconds=row["seconds"])
                progress.advance(1, pace)
    return made


def _on_the_drivers_node() -> dict[str, Any]:
    """Return options that keep tasks on the node of local files, even if it takes no other work."""
    here = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    resources = next(node["Resources"] for node in nodes if node["NodeID"] == here)
    # Ray gives each node a resource that is named after it.
    head = "node:__internal_head__"
    name = next(name for name in resources if name.startswith("node:") and name != head)
    return {"resources": {name: 0.001}, "num_cpus": min(1.0, resources.get("CPU", 0.0))}
