"""The nightly job: ingest, plan, train what is missing, score what is missing, publish once.

    protoscore rescore --dataset fashion_mnist --data-root DIR --store s3://bucket/prefix

The same command again, whatever happened to the first one, makes what is still missing.

Exit codes: 0 published, or nothing to do; 2 bad input; 3 partly published, the rest is named;
4 nothing published.
"""

import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray_jobs.jobs.lease import Lease
from ray_jobs.night import describe
from ray_jobs.night.fallback import only_staged, without_runs
from ray_jobs.night.night_record import Night, record_nights
from ray_jobs.night.plan import Plan, plan_night
from ray_jobs.night.publish import publish_night
from ray_jobs.night.request import check
from ray_jobs.night.summary import write_summary
from ray_jobs.terminal.night_flags import NightFlags, parse
from scoring.data.versions import load_version
from scoring.errors import PartlyPublished
from scoring.runs.imports import store_weights
from scoring.runs.record import Run, finished
from scoring.score.signals import SignalOptions

if TYPE_CHECKING:
    from ray_jobs.on_ray.map_shards import PoolOptions

_GB = 1 << 30
_HOUR_S = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a night; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags, configs = parse(args, "protoscore rescore", __doc__ or "", NightFlags)
    command = shlex.join(["protoscore", "rescore", *args])
    if published := run_night(flags, configs, command, deadline(flags)):
        print(describe.try_next(published), flush=True)
    return 0


def deadline(flags: NightFlags) -> float:
    """When the hours that the job is given from now on are over, in seconds since the epoch."""
    return math.inf if flags.max_hours is None else time.time() + flags.max_hours * _HOUR_S


def run_night(
    flags: NightFlags, configs: Mapping[str, Any], command: str, until: float
) -> Plan | None:
    """Make what is missing and publish it.

    Args:
        flags: the night.
        configs: metric name to its Config.
        command: what the user typed.
        until: time (seconds since the epoch) after which no epoch and no shard is begun.

    Returns:
        What was published; None where there was nothing to do.

    Raises:
        PartlyPublished: runs failed or the time was over; what was complete is published.
        ProtoscoreError: nothing was.
    """
    night = Night.begin(command, flags.night_date())
    asked = check(flags, configs, writable=True)
    tonight = plan_night(asked)
    print(describe.plan(tonight), flush=True)
    lease = Lease(
        asked.storage,
        "rescore",
        job_id=night.night_id,
        started=night.started,
        command=night.command,
        dataset=asked.publish_as,
    )
    with write_summary(flags.summary, night) as summary, lease:
        if lease.waited:
            tonight = plan_night(asked)
        if tonight.nothing_to_do:
            record_nights(asked.storage, asked.publish_as)
            print(describe.nothing_to_do(tonight), flush=True)
            lease.end("nothing to do")
            return None
        planned, made, why = _make(tonight, until)
        outcome = publish_night(planned, made, night)
        summary.published(made, outcome)
        print(describe.outcome(made, outcome), flush=True)
        if why:
            raise PartlyPublished(describe.left_out(planned, made, why))
        lease.end("published")
    return made


def _make(night: Plan, until: float) -> tuple[Plan, Plan, str]:
    """Make all that is missing, as far as the time goes.

    Returns:
        The plan once all data was there, the plan of what can be published, and why that is less.
    """
    # Ray takes seconds to import: a night without work never needs it.
    from ray_jobs.on_ray.cluster import cluster
    from ray_jobs.on_ray.counters import counting_stages

    why, asked, machine = "", night.asked, night.asked.flags.machine
    with cluster(machine.address, machine.cpus), counting_stages(asked.publish_as):
        planned = night = ingested(night, until)
        if missing := train(night, until):
            why = describe.missing_runs(night, missing, out_of_time=time.time() >= until)
            night = plan_night(without_runs(night, missing, why))
        _score(night, until)
    if time.time() >= until and (now := plan_night(night.asked)).to_score:
        why = why or describe.OUT_OF_TIME
        night = plan_night(only_staged(now, why))
    return planned, night, why


def ingested(night: Plan, until: float) -> Plan:
    """The plan once all data is in the store, and the versions that say which data that is."""
    from ray_jobs.on_ray.make_shards import ingest

    asked = night.asked
    # Also where no shard is missing: of what other nights have made, these may be the first to
    # take just this part, and a night may have ended after its last shard.
    ingest(asked.source, asked.storage, night.surveys, asked.flags.data.max_corrupt, until)
    return plan_night(asked) if night.to_ingest else night


def train(night: Plan, until: float) -> tuple[Run, ...]:
    """Make the runs that are missing; returns those that still are."""
    from ray_jobs.on_ray.layers_at_rest import make_representers
    from ray_jobs.on_ray.train_fleet import train_fleet

    if not night.missing_runs:
        return ()
    asked, machine = night.asked, night.asked.flags.machine
    for line in describe.notes(night):
        print(line, file=sys.stderr, flush=True)
    store_weights(asked.storage, night.models.imported)
    versions = {
        split: load_version(asked.storage, asked.source.name, split, version)
        for split, version in night.models.trained_on.items()
    }
    memory = int(machine.train_memory_gb * _GB)
    at_rest = [run for run in night.missing_runs if run.spec.kind == "representer"]
    missing = train_fleet(
        asked.storage,
        [run for run in night.missing_runs if run not in at_rest],
        versions,
        train_memory=memory,
        gpus_per_run=machine.gpus_per_run,
        until=until,
    )
    there = finished(asked.storage, {run.parent for run in at_rest})
    ready = [run for run in at_rest if run.parent in there]
    made = make_representers(
        asked.storage, ready, versions, *_scoring(night), memory=memory, until=until
    )
    return (*missing, *(run for run in at_rest if run not in ready), *made)


def _scoring(night: Plan) -> "tuple[SignalOptions, PoolOptions]":
    """How models are asked, and on what."""
    from ray_jobs.on_ray.map_shards import PoolOptions

    machine, device = night.asked.flags.machine, night.models.hardware.device
    options = SignalOptions(
        batch_rows=machine.batch_rows,
        device=device,
        cache_bytes=int(machine.cache_memory_gb * _GB),
        keep_outputs=night.outputs_bytes <= machine.outputs_gb * _GB,
    )
    gpus = machine.gpus_per_scorer if device == "cuda" else 0.0
    return options, PoolOptions(gpus_per_actor=gpus, weights_bytes=options.cache_bytes)


def _score(night: Plan, until: float) -> None:
    from ray_jobs.on_ray.map_shards import ShardData
    from ray_jobs.on_ray.score_shards import ScoringJob, ShardTasks, score_shards

    layout = night.surveys["train"].layout
    assignments = list(dict.fromkeys(t.assignment for work in night.to_score for t in work.missing))
    index = {assignment: i for i, assignment in enumerate(assignments)}
    asked = night.asked
    job = ScoringJob(
        data=ShardData(storage=asked.storage, dataset=asked.source.name, shape=layout.shape),
        classes=len(layout.classes),
        assignments=tuple(assignments),
    )
    work = [
        ShardTasks(
            record=work.shard.record,
            tasks=tuple((index[task.assignment], task.key) for task in work.missing),
        )
        for work in night.to_score
        if work.shard.record
    ]
    score_shards(job, work, *_scoring(night), until)
