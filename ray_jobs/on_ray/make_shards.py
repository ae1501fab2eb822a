"""Ray Data turns pieces of a source into shards of the store."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayTaskError

from ray_jobs.jobs.progress import Progress
from scoring.data.ingest import PlannedShard, ingest_piece
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Source
from scoring.errors import UserError
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class _Ingest:
    """Turns one piece into one shard, on a worker."""

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


def make_shards(
    source: Source,
    storage: Storage,
    layout: Layout,
    missing: Sequence[PlannedShard],
    until: float = math.inf,
) -> dict[str, ShardRecord]:
    """Make shards, a task for each; arguments as those of `ray_jobs.engine.Engine.make_shards`."""
    task = _Ingest(source=source, storage=storage, layout=layout, until=until)
    rows = ray.data.from_items(list(missing), override_num_blocks=len(missing)).map(
        task, **(_on_the_drivers_node() if source.local else {})
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


def _on_the_drivers_node() -> dict[str, Any]:
    """Options that keep tasks where local files are, even on a head that takes no other work."""
    here = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    has = next(node["Resources"] for node in nodes if node["NodeID"] == here)
    # Ray names a resource after each node.
    name = next(n for n in has if n.startswith("node:") and n != "node:__internal_head__")
    return {"resources": {name: 0.001}, "num_cpus": min(1.0, has.get("CPU", 0.0))}


def _user_error(error: BaseException) -> BaseException:
    """The user's mistake that made a task fail, or else the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return UserError(str(seen.args[0]) if seen.args else str(seen))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error
