"""Bring a dataset into the store, without training or scoring.

protoscore ingest --dataset parquet --train DIR --test DIR --store s3://bucket/prefix
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import tyro

from ray_jobs.night import describe
from ray_jobs.night.bring_in import ingest
from ray_jobs.night.request import check
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import MachineFlags, NightFlags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import StoreUri


@dataclass(frozen=True, kw_only=True)
class IngestFlags:
    """The dataset to bring in, and the store to bring it into."""

    store: StoreUri = field(default_factory=default_store)
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(default_factory=DataFlags)
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """Bring a dataset into the store; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(IngestFlags, args, "protoscore ingest", __doc__)
    night = NightFlags(store=flags.store, data=flags.data, machine=flags.machine)
    command = command_line("ingest", args)
    surveys, versions = ingest(check(night, {}, writable=True), command)
    say(describe.ingested(surveys, versions))
    return 0
