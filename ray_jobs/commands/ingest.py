"""`protoscore ingest`: bring a dataset into the store, without training or scoring.

protoscore ingest --dataset parquet --train DIR --test DIR --store s3://bucket/prefix
"""

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

import tyro

from ray_jobs.jobs.job_record import new_job_id
from ray_jobs.jobs.lease import Lease
from ray_jobs.night.request import check, survey_splits
from ray_jobs.on_ray.cluster import cluster
from ray_jobs.on_ray.make_shards import ingest
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import MachineFlags, NightFlags


@dataclass(frozen=True, kw_only=True)
class IngestFlags:
    """What to bring in, and where to."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """Bring a dataset into the store; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    started = datetime.now(UTC)
    flags = parse_flags(IngestFlags, args, "protoscore ingest", __doc__)
    night = NightFlags(store=flags.store, data=flags.data, machine=flags.machine)
    asked = check(night, {}, writable=True)
    surveys = survey_splits(asked)
    missing = any(found.missing for found in surveys.values())
    lease = Lease(
        asked.storage,
        "ingest",
        job_id=new_job_id(started),
        started=started,
        command=shlex.join(["protoscore", "ingest", *args]),
        dataset=asked.source.name,
    )
    with lease, cluster(flags.machine.address, flags.machine.cpus) if missing else nullcontext():
        if lease.waited:
            surveys = survey_splits(asked)
        versions = ingest(asked.source, asked.storage, surveys, flags.data.max_corrupt)
    for split, version in versions.items():
        print(
            f"{version.name} {split}: {version.rows:,} rows in {len(version.shards)} shards "
            f"({len(surveys[split].missing)} new), {version.undecodable} undecodable, "
            f"version {version.version}"
        )
    return 0
