"""The nightly job: ingest, plan, train what is missing, score what is missing, publish once.

    protoscore rescore --dataset fashion_mnist --data-root DIR --store s3://bucket/prefix

The same command again, whatever happened to the first one, makes what is still missing.
"""

import shlex
import sys
from collections.abc import Sequence

from ray_jobs import describe
from ray_jobs.console import run_job
from ray_jobs.flags import parse
from ray_jobs.plan import Plan, plan_night, without
from ray_jobs.publish import Night, publish_night, record_nights
from ray_jobs.request import check
from scoring.data.versions import load_version
from scoring.errors import PartlyPublished
from scoring.imports import store_weights
from scoring.runs import Run
from scoring.signals import SignalOptions

_GB = 1 << 30


def main(argv: Sequence[str] | None = None) -> int:
    """Run a night; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    night = Night.begin(shlex.join(["protoscore", "rescore", *args]))
    flags, configs = parse(args, "protoscore rescore", __doc__ or "")
    tonight = plan_night(check(flags, configs, writable=True))
    print(describe.plan(tonight), flush=True)
    if tonight.nothing_to_do:
        record_nights(tonight.asked.storage, tonight.asked.publish_as)
        print(describe.nothing_to_do(tonight), flush=True)
        return 0
    made, failed = _make(tonight)
    print(describe.outcome(made, publish_night(made, night)), flush=True)
    if failed:
        raise PartlyPublished(describe.failure(tonight, made, failed))
    return 0


def plan(argv: Sequence[str] | None = None) -> int:
    """Print what `main` would do with the same flags, and make nothing."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags, configs = parse(args, "protoscore plan", plan.__doc__ or "")
    print(describe.plan(plan_night(check(flags, configs, writable=False))))
    return 0


def _make(night: Plan) -> tuple[Plan, tuple[Run, ...]]:
    """Make all that is missing; returns what can be published now, and the runs that failed."""
    # Ray takes seconds to import: a night without work never needs it.
    from ray_jobs.cluster import cluster
    from ray_jobs.make_shards import ingest

    machine = night.asked.flags.machine
    with cluster(machine.address, machine.cpus):
        if night.to_ingest:
            asked = night.asked
            ingest(asked.source, asked.storage, night.surveys, asked.flags.data.max_corrupt)
            night = plan_night(asked)
        failed = _train(night)
        if failed:
            night = plan_night(without(night, failed))
        _score(night)
    return night, failed


def _train(night: Plan) -> tuple[Run, ...]:
    from ray_jobs.train_fleet import train_fleet

    if not night.missing_runs:
        return ()
    asked, machine = night.asked, night.asked.flags.machine
    for line in describe.notes(night):
        print(line, file=sys.stderr, flush=True)
    store_weights(asked.storage, night.models.imported)
    return train_fleet(
        asked.storage,
        night.missing_runs,
        {
            split: load_version(asked.storage, asked.source.name, split, version)
            for split, version in night.models.trained_on.items()
        },
        train_memory=int(machine.train_memory_gb * _GB),
        gpus_per_run=machine.gpus_per_run,
    )


def _score(night: Plan) -> None:
    from ray_jobs.score_shards import PoolOptions, ScoringJob, ShardTasks, score_shards

    machine, device = night.asked.flags.machine, night.models.hardware.device
    layout = night.surveys["train"].layout
    assignments = list(dict.fromkeys(t.assignment for work in night.to_score for t in work.missing))
    index = {assignment: i for i, assignment in enumerate(assignments)}
    job = ScoringJob(
        storage=night.asked.storage,
        dataset=night.asked.source.name,
        shape=layout.shape,
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
    options = SignalOptions(
        batch_rows=machine.batch_rows,
        device=device,
        cache_bytes=int(machine.cache_memory_gb * _GB),
        keep_outputs=night.outputs_bytes <= machine.outputs_gb * _GB,
    )
    gpus = machine.gpus_per_scorer if device == "cuda" else 0.0
    score_shards(job, work, options, PoolOptions(gpus_per_scorer=gpus))


if __name__ == "__main__":
    sys.exit(run_job(main))
