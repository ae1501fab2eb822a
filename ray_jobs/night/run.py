"""A night: ingest, plan, train what is missing, score what is missing, publish once."""

import math
import sys
import time

from ray_jobs.engine import Engine, engine
from ray_jobs.jobs.lease import writing_job
from ray_jobs.night import describe
from ray_jobs.night.bring_in import bring_in
from ray_jobs.night.fallback import only_staged, without_runs
from ray_jobs.night.forecast import Forecast, forecast, forecast_of
from ray_jobs.night.night_record import Night, record_nights
from ray_jobs.night.plan import Plan, plan_night
from ray_jobs.night.publish import publish_night
from ray_jobs.night.request import Request
from ray_jobs.night.situation import Situation, look
from ray_jobs.night.summary import write_summary
from ray_jobs.terminal.night_flags import NightFlags
from scoring.data.versions import load_version
from scoring.errors import PartlyPublished
from scoring.runs.imports import store_weights
from scoring.runs.record import Run, finished
from scoring.score.shard_job import ScoringJob, ShardData, ShardTasks

_HOUR_S = 3600.0


def deadline(flags: NightFlags) -> float:
    """When the job's hours, counted from now, are over; in seconds since the epoch."""
    return math.inf if flags.max_hours is None else time.time() + flags.max_hours * _HOUR_S


def run_night(request: Request, command: str, until: float) -> Plan | None:
    """Make what is missing and publish it.

    Args:
        request: what to score, and where.
        command: what the user typed.
        until: time (seconds since the epoch) after which no epoch and no shard is begun.

    Returns:
        The plan of what was published; None if there was nothing to do.

    Raises:
        PartlyPublished: runs failed or time ran out; everything complete is published.
        ProtoscoreError: nothing was published.
    """
    flags = request.flags
    night = Night.begin(command, flags.night_date())
    situation, plan = survey(request)
    print(describe.forecast(foresee(situation, plan)), flush=True)
    lease = writing_job(
        request.storage,
        "rescore",
        command=command,
        dataset=request.publish_as,
        job_id=night.night_id,
        started=night.started,
    )
    with write_summary(flags.summary, night) as summary, lease as job:
        if job.waited:
            situation, plan = survey(request)
        if plan and plan.nothing_to_do:
            record_nights(request.storage, request.publish_as)
            print(describe.nothing_to_do(plan), flush=True)
            job.end("nothing to do")
            return None
        with engine(flags.machine, request.publish_as) as cluster:
            planned = ingested(cluster, situation, plan, until)
            made, reason = _make(cluster, planned, until)
        outcome = publish_night(planned, made, night)
        summary.published(made, outcome)
        print(describe.outcome(made, outcome), flush=True)
        if reason:
            raise PartlyPublished(describe.left_out(planned, made, reason))
        job.end("published")
    return made


def survey(request: Request) -> tuple[Situation, Plan | None]:
    """Look at the source and the store, and plan, if all data is ingested."""
    situation = look(request)
    return situation, None if situation.to_ingest else plan_night(situation)


def foresee(situation: Situation, plan: Plan | None) -> Forecast:
    """What the night will have to do: exactly, if there is a plan."""
    return forecast_of(plan) if plan else forecast(situation)


def ingested(engine: Engine, situation: Situation, plan: Plan | None, until: float) -> Plan:
    """Ingest what is missing, write the dataset versions, and plan.

    Versions are written even where no shard is missing: this night may be the first to take just
    this part of what others have ingested, and an earlier one may have died after its last shard.
    """
    bring_in(engine, situation.request, situation.surveys, until)
    return plan or _replan(situation.request)


def _make(engine: Engine, plan: Plan, until: float) -> tuple[Plan, str]:
    """Train and score everything that is missing, as far as time allows.

    Returns:
        The plan of what can be published, and why that is less than was planned.
    """
    reason = ""
    if missing := train(engine, plan, until):
        reason = describe.missing_runs(plan, missing, out_of_time=time.time() >= until)
        plan = _replan(without_runs(plan, missing, reason))
    _score(engine, plan, until)
    if time.time() >= until and (now := _replan(plan.request)).to_score:
        reason = reason or describe.OUT_OF_TIME
        plan = _replan(only_staged(now, reason))
    return plan, reason


def train(engine: Engine, plan: Plan, until: float) -> tuple[Run, ...]:
    """Make the missing runs; returns those that are still missing."""
    if not plan.missing_runs:
        return ()
    storage = plan.request.storage
    for line in describe.notes(plan):
        print(line, file=sys.stderr, flush=True)
    store_weights(storage, plan.models.chosen.imported)
    versions = {
        split: load_version(storage, plan.request.source.name, split, version)
        for split, version in plan.models.trained_on.items()
    }
    at_rest = [run for run in plan.missing_runs if run.spec.kind == "representer"]
    to_train = [run for run in plan.missing_runs if run not in at_rest]
    untrained = engine.train(storage, to_train, versions, until=until)
    parents = finished(storage, {run.parent for run in at_rest})
    ready = [run for run in at_rest if run.parent in parents]
    device = plan.models.chosen.hardware.device
    unsolved = engine.bring_to_rest(storage, ready, versions, device, until)
    return (*untrained, *(run for run in at_rest if run not in ready), *unsolved)


def _score(engine: Engine, plan: Plan, until: float) -> None:
    request, layout = plan.request, plan.situation.layout
    missing = [task.assignment for work in plan.to_score for task in work.missing]
    assignments = tuple(dict.fromkeys(missing))
    index = {assignment: i for i, assignment in enumerate(assignments)}
    data = ShardData(storage=request.storage, dataset=request.source.name, shape=layout.shape)
    job = ScoringJob(data=data, classes=len(layout.classes), assignments=assignments)
    work = [
        ShardTasks(
            record=item.record,
            tasks=tuple((index[task.assignment], task.key) for task in item.missing),
        )
        for item in plan.to_score
    ]
    keep = forecast_of(plan).logits_bytes <= request.flags.machine.outputs_bytes
    device = plan.models.chosen.hardware.device
    engine.score(job, work, device, keep_logits=keep, until=until)


def _replan(request: Request) -> Plan:
    return plan_night(look(request))
