"""Turns the pieces of a source that no night has seen into shards of the store.

protoscore ingest --dataset parquet --train DIR --test DIR --store s3://bucket/prefix
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
import tyro
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_jobs.cluster import cluster
from ray_jobs.console import default_store, run_job
from ray_jobs.flags import DataFlags, MachineFlags, NightFlags
from ray_jobs.progress import Progress
from ray_jobs.request import Request, check, survey_splits
from scoring.data.ingest import (
    PlannedShard,
    Survey,
    assemble,
    ingest_piece,
    remember_layout,
)
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Source
from scoring.data.versions import DatasetVersion
from scoring.errors import UserError
from scoring.keys import Split
from scoring.storage import Storage


@dataclass(frozen=True, kw_only=True)
class IngestFlags:
    """What to bring in, and where to."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)


@dataclass(frozen=True, kw_only=True)
class _Ingest:
    """One piece to one shard, on a worker."""

    source: Source
    storage: Storage
    layout: Layout

    def __call__(self, row: dict[str, PlannedShard]) -> dict[str, Any]:
        planned = row["item"]
        record = ingest_piece(self.source, self.storage, self.layout, planned)
        return {"receipt": planned.receipt, "record": record}


def ingest(asked: Request, surveys: Mapping[Split, Survey]) -> dict[Split, DatasetVersion]:
    """Make the shards that are missing, then write each split's version.

    Raises:
        UserError: the data cannot be used; shards already made stay for the next try.
    """
    source, storage = asked.source, asked.storage
    layout = surveys["train"].layout
    missing = [shard for survey in surveys.values() for shard in survey.missing]
    made = _make_shards(source, storage, layout, missing)
    remember_layout(source, storage, layout)
    corrupt = asked.flags.data.max_corrupt
    versions = {s: assemble(survey, made.items(), corrupt) for s, survey in surveys.items()}
    for version in versions.values():
        version.save(storage)
    return versions


def main(argv: Sequence[str] | None = None) -> int:
    """Bring a dataset into the store, without training or scoring."""
    flags = tyro.cli(
        IngestFlags,
        args=list(sys.argv[1:] if argv is None else argv),
        prog="protoscore ingest",
        description=main.__doc__,
    )
    night = NightFlags(store=flags.store, data=flags.data, machine=flags.machine)
    asked = check(night, {}, writable=True)
    surveys = survey_splits(asked)
    with cluster(flags.machine.address, flags.machine.cpus):
        versions = ingest(asked, surveys)
    for split, version in versions.items():
        print(
            f"{version.name} {split}: {version.rows:,} rows in {len(version.shards)} shards "
            f"({len(surveys[split].missing)} new), {version.undecodable} undecodable, "
            f"version {version.version}"
        )
    return 0


def _make_shards(
    source: Source, storage: Storage, layout: Layout, missing: list[PlannedShard]
) -> dict[str, ShardRecord]:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    placement: dict[str, Any] = {"scheduling_strategy": here} if source.local else {}
    rows = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
        _Ingest(source=source, storage=storage, layout=layout), **placement
    )
    made = {}
    try:
        with Progress("ingest", len(missing), "shard") as progress:
            for row in rows.iter_rows():
                made[row["receipt"]] = row["record"]
                progress.advance()
    except RayTaskError as error:
        cause = _user_error(error)
        raise cause from None if cause is not error else error
    return made


def _user_error(error: BaseException) -> BaseException:
    """The user's mistake that a task reported, or the error as it is."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return UserError(str(seen.args[0]) if seen.args else str(seen))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error


if __name__ == "__main__":
    sys.exit(run_job(main))
