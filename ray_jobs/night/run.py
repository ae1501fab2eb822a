"""A night: ingest, plan, train what is missing, score what is missing, publish once."""

from dataclasses import replace

from ray_jobs.engine import Engine, engine
from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.meter import Meter
from ray_jobs.jobs.verify import mend_log
from ray_jobs.night import describe
from ray_jobs.night.account import accounting
from ray_jobs.night.bring_in import bring_in
from ray_jobs.night.estimate import Rates, earlier_rates, estimate
from ray_jobs.night.fallback import only_staged, without_runs
from ray_jobs.night.forecast import Forecast, forecast
from ray_jobs.night.keep_corrections import keep_corrections
from ray_jobs.night.night_record import Night, record_nights
from ray_jobs.night.plan import Plan, plan_night
from ray_jobs.night.publish_night import publish_night
from ray_jobs.night.request import Request
from ray_jobs.night.situation import Situation, assess
from ray_jobs.night.summary import Summary, write_summary
from ray_jobs.terminal.say import note, say
from scoring.data.versions import load_version
from scoring.errors import IncompleteError, PartlyPublished
from scoring.runs.imports import store_weights
from scoring.runs.record import Run, finished
from scoring.score.shard_job import ScoringJob, ShardData, ShardTasks
from scoring.tables.heal import damaged_files, take_out
from scoring.tables.leftovers import TABLE_NAMES
from scoring.tables.manifest import Partition

_CHECK_BYTES = 1 << 30  # of published data files that a night reads to check; a second at most


def run_night(request: Request, command: str, meter: Meter) -> Plan | None:
    """Make what is missing and publish it.

    Args:
        request: what to score, and where.
        command: what the user typed.
        meter: counts what the job uses; once it is over a cap, no epoch and no shard is begun.

    Returns:
        The plan of what was published; None if there was nothing to do.

    Raises:
        PartlyPublished: runs failed or a cap was reached; everything complete is published.
        ProtoscoreError: nothing was published.
    """
    night = Night.begin(command, request.flags.night_date())
    with write_summary(request.flags.summary, night) as summary:
        mend_log(request.storage, "scores", command)
        situation, plan = assess_and_plan(request)
        say(look_ahead(forecast(situation, plan)), flush=True)
        lease = writing_job(
            request.storage,
            "rescore",
            command=command,
            dataset=request.publish_as,
            job_id=night.night_id,
            started=night.started,
        )
        with lease as job:
            if request.changes:
                job.refuse_old_plans()
                keep_corrections(request, night)
            request = _find_lost(request)
            if job.waited or request.lost:
                situation, plan = assess_and_plan(request)
            if plan and plan.nothing_to_do:
                record_nights(request.storage, request.publish_as)
                say(describe.nothing_to_do(plan), flush=True)
                job.end("nothing to do")
                return None
            with accounting(job, situation, night, summary, meter):
                with engine(request.flags.machine, request.publish_as, meter) as cluster:
                    planned = ingest_and_plan(cluster, situation, plan)
                    made, reason = _make(cluster, planned)
                _publish(planned, made, reason, night, summary)
            job.end("published")
    return made


def _find_lost(request: Request) -> Request:
    """Find damaged data files: those of `scores` are published anew, others leave their tables."""
    lost = {}
    for file, line in damaged_files(request.storage, TABLE_NAMES, _CHECK_BYTES):
        note(line)
        if file.table == "scores":
            lost[file.path] = Partition(**file.partition)
        else:
            take_out(request.storage, file)
    return replace(request, lost=lost)


def _publish(planned: Plan, made: Plan, reason: str, night: Night, summary: Summary) -> None:
    """Publish what was made.

    Raises:
        PartlyPublished: it is less than was planned, for this reason.
    """
    outcome = publish_night(planned, made, night)
    summary.published(made, outcome)
    if published := describe.outcome(made, outcome):
        say(published, flush=True)
    if reason:
        raise PartlyPublished(describe.left_out(planned, made, reason))


def look_ahead(ahead: Forecast, rates: Rates | None = None) -> str:
    """Say what a night will do, and how long that takes.

    Args:
        ahead: what the night will do.
        rates: how fast work goes; None: as fast as on earlier nights.
    """
    shape, earlier = earlier_rates(ahead)
    time_it_takes = estimate(ahead, shape, rates or earlier)
    lines = describe.time_lines(time_it_takes, ahead.situation.request.flags.caps)
    return "\n".join(filter(None, [describe.forecast_table(ahead), lines]))


def assess_and_plan(request: Request) -> tuple[Situation, Plan | None]:
    """Assess the source and the store, and plan if all data is ingested."""
    situation = assess(request)
    return situation, None if situation.to_ingest else plan_night(situation)


def ingest_and_plan(engine: Engine, situation: Situation, plan: Plan | None) -> Plan:
    """Ingest what is missing, write the dataset versions, and plan unless that is done.

    Versions are written even if no shard is missing: this night may be the first to use just this
    part of what others ingested, or an earlier night may have died after its last shard.
    """
    bring_in(engine, situation.request, situation.surveys)
    return plan or _replan(situation.request)


def _make(engine: Engine, plan: Plan) -> tuple[Plan, str]:
    """Train and score everything that is missing, as far as the job's caps allow.

    Returns:
        The plan of what can be published, and the reason if that is less than was planned.
    """
    reason = ""
    if missing := train(engine, plan):
        reason = describe.missing_runs(plan, missing, engine.over())
        plan = _replan(without_runs(plan, missing, reason))
    _score(engine, plan)
    if (over := engine.over()) and (now := _replan(plan.request)).to_score:
        reason = reason or over
        plan = _replan(only_staged(now, reason))
        if plan.to_score:  # without its ensemble, it would predict classes by the base run
            raise IncompleteError(f"{reason}; nothing was published")
    return plan, reason


def train(engine: Engine, plan: Plan) -> tuple[Run, ...]:
    """Make the missing runs; return those that are still missing."""
    if not plan.missing_runs:
        return ()
    storage = plan.request.storage
    for line in describe.notes(plan):
        note(line)
    store_weights(storage, plan.models.chosen.imported)
    versions = {
        split: load_version(storage, plan.request.source.name, split, version)
        for split, version in plan.models.trained_on.items()
    }
    at_rest = [run for run in plan.missing_runs if run.spec.kind == "representer"]
    to_train = [run for run in plan.missing_runs if run not in at_rest]
    untrained = engine.train(storage, to_train, versions)
    parents = finished(storage, {run.parent for run in at_rest})
    ready = [run for run in at_rest if run.parent in parents]
    device = plan.models.chosen.hardware.device
    unsolved = engine.bring_to_rest(storage, ready, versions, device)
    return (*untrained, *(run for run in at_rest if run not in ready), *unsolved)


def _score(engine: Engine, plan: Plan) -> None:
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
    keep = forecast(plan.situation, plan).logits_bytes <= request.flags.machine.outputs_bytes
    device = plan.models.chosen.hardware.device
    engine.score(job, work, device, keep_logits=keep)


def _replan(request: Request) -> Plan:
    return plan_night(assess(request))
