"""The nets of `evaluate slices`: trained as a fleet, then asked."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ray_jobs.evaluations.slice_plan import SlicePlan
from ray_jobs.evaluations.staged import is_staged, stage
from ray_jobs.jobs.job_record import new_job_id
from ray_jobs.jobs.lease import Lease
from scoring.errors import IncompleteError
from scoring.runs.record import Run, finished

_GB = 1 << 30


def make_nets(plan: SlicePlan, command: str) -> None:
    """Train and ask what is missing.

    Raises:
        IncompleteError: trainings failed; those that are done stay.
    """
    started, machine = datetime.now(UTC), plan.flags.machine
    predictions = [plan.predicting(run) for run in plan.runs]
    distances = [how for run in plan.attacked() for how in plan.attacking(run).values()]
    answers = ((plan.judging, predictions), (plan.sample, distances))
    missing = _missing(plan)
    if not missing and all(is_staged(*answer) for answer in answers):
        return
    # Ray takes seconds to import: what is there already never needs it.
    from ray_jobs.on_ray.cluster import cluster

    lease = Lease(
        plan.storage,
        "evaluate",
        job_id=new_job_id(started),
        started=started,
        command=command,
        dataset=plan.snapshot.dataset,
    )
    with lease, cluster(machine.address, machine.cpus):
        _train(plan, missing)
        for answer in answers:
            stage(*answer, plan.like, machine)
        lease.end("done")


def _missing(plan: SlicePlan) -> list[Run]:
    """Those to train; says what they cost."""
    done = finished(plan.storage, [run.key for run in plan.runs])
    missing = [run for run in plan.runs if run.key not in done]
    rows = {run.key: len(plan.slices[run.key].ids) for run in missing}
    passes = sum(rows[r.key] * r.spec.recipe.epochs_for(rows[r.key]) for r in missing)
    cost = f": {passes:,} examples forward and backward" if missing else ""
    print(f"{len(plan.runs)} nets, {len(missing)} to train{cost}", flush=True)
    return missing


def _train(plan: SlicePlan, missing: Sequence[Run]) -> None:
    from ray_jobs.on_ray.train_fleet import train_fleet

    machine = plan.flags.machine
    left = train_fleet(
        plan.storage,
        missing,
        plan.versions,
        train_memory=int(machine.train_memory_gb * _GB),
        gpus_per_run=machine.gpus_per_run,
        slices={run.key: plan.slices[run.key] for run in missing},
    )
    if left:
        raise IncompleteError(
            f"expected {len(plan.runs)} trained nets, got {len(plan.runs) - len(left)}; the same "
            "command trains the others"
        )
