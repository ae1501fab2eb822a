"""What a job tells its user: the forecast, notes on it, and the outcome."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ray_jobs.jobs.progress import counted
from ray_jobs.jobs.verdict_lines import verdict_lines
from ray_jobs.night.estimate import Estimate
from ray_jobs.night.forecast import Forecast
from ray_jobs.night.plan import Plan
from ray_jobs.night.situation import Situation
from ray_jobs.terminal.cap_flags import CapFlags
from scoring.analysis.verdict import EVALUATION, read_estimates
from scoring.data.corrections import NO_CLASS
from scoring.data.ingest import Survey
from scoring.data.versions import DatasetVersion
from scoring.runs.record import Run
from scoring.store.keys import SPLITS, Split
from scoring.tables import Store
from scoring.tables.publish import Outcome


def forecast_table(forecast: Forecast) -> str:
    """Lay out a forecast: what there is to do, and what it will cost."""
    situation = forecast.situation
    request, layout = situation.request, situation.layout
    rows = " + ".join(f"{situation.surveys[split].rows:,} {split}" for split in SPLITS)
    pieces = sum(len(survey.shards) for survey in situation.surveys.values())
    lines = [
        f"Plan for {request.publish_as} in {request.storage.uri}: {rows} examples, "
        f"{len(layout.classes)} classes, {layout.shape}",
        _line("ingest", len(situation.to_ingest), pieces, "shards", _ingest_cost(forecast)),
        _line(
            "train", len(forecast.missing_runs), len(forecast.runs), "runs", _train_cost(forecast)
        ),
        _line(
            "score",
            forecast.missing_results,
            forecast.results,
            "shard results",
            _score_cost(forecast),
        ),
        _line("publish", forecast.changed_partitions, forecast.partitions, "partitions", ""),
        f"  memory   {_memory(forecast)}",
    ]
    if labels := _labels(situation):
        lines.append(f"  labels   {labels}")
    if situation.left_out:
        names = ", ".join(situation.left_out)
        lines.append(f"  left out {names}: not applicable to {layout.shape.plural} or to this net")
    if without := _without_out_of_bag(situation):
        lines.append(without)
    return "\n".join(lines)


def _without_out_of_bag(situation: Situation) -> str:
    """Say which metrics will miss models that did not see the training rows; "" if none will."""
    names = [metric.name for metric in situation.request.metrics if metric.reads_seen]
    members = situation.fleet.fleet.ensemble
    if not names or any(run.left_out or run.unseen for run in members):
        return ""
    imported = any(run.kind == "imported" for run in members)
    reason = (
        'the manifest calls no member of the ensemble "unseen"'
        if imported
        else "every member of --ensemble seeds sees every training row"
    )
    return f"  no value {', '.join(names)}: {reason}"


def time_lines(estimate: Estimate, caps: CapFlags) -> str:
    """Say how long a night will take, on what basis, and what that costs; "" if it has no work."""
    if not estimate.seconds:
        return ""
    known = ", ".join(
        f"{stage} {'unknown' if seconds is None else _duration(seconds)}"
        for stage, seconds in estimate.seconds.items()
    )
    basis = f", as {estimate.basis} went" if estimate.basis else ""
    hours = estimate.hours
    if hours is None:
        known = f"{known} on {estimate.shape}{basis}" if basis else "unknown: no earlier night"
        return f"  time     {known}; protoscore plan --trial measures it"
    lines = [f"  time     about {_duration(3600 * hours)} on {estimate.shape} ({known}){basis}"]
    gpu_hours, cpu_hours = hours * estimate.shape.gpus, hours * estimate.shape.cpus
    costs = [f"{gpu_hours:.2g} GPU-hours"] if gpu_hours else []
    if (usd := caps.usd(gpu_hours, cpu_hours)) is not None:
        costs.append(f"{usd:.2f} USD")
    if costs:
        lines.append(f"  cost     about {', '.join(costs)}")
    return "\n".join(lines)


def notes(plan: Plan) -> list[str]:
    """Return what a user should know before training starts, one note a line."""
    chosen = plan.models.chosen
    private = any(run.spec.privacy for run in plan.missing_runs)
    if chosen.private_form == "group_norm" and private:
        net = chosen.settings["net"]
        return [
            f"note: {net} has BatchNorm, which mixes examples; private runs use its GroupNorm form"
        ]
    return []


def nothing_to_do(plan: Plan) -> str:
    """Say why nothing was done."""
    last = max(plan.situation.published[p.partition].planned_at for p in plan.partitions)
    return (
        "Nothing to do: no run to train, no shard to score, nothing to commit. The scores "
        f"published by the night of {last[:19].replace('T', ' ')} UTC are current."
    )


def outcome(plan: Plan, result: Outcome) -> str:
    """Say what was published; "" if nothing had to be."""
    lines = []
    if result.committed:
        rows = sum(manifest.rows for manifest in result.committed)
        count = counted(len(result.committed), "partition")
        lines.append(
            f"Published {count} of {plan.request.publish_as}, {rows:,} rows, as version "
            f"{result.version} of {plan.request.flags.store}/tables/scores"
        )
    if result.already:
        count = counted(len(result.already), "partition")
        lines.append(f"Left {count} to another job, which published the same")
    if result.yielded:
        count = counted(len(result.yielded), "partition")
        lines.append(f"Left {count} to a night that was planned later")
    return "\n".join(lines)


def verdict(plan: Plan) -> str:
    """Say how many labels are wrong, as far as they were judged; "" if they were not."""
    if not plan.probabilities:
        return ""
    dataset = plan.request.publish_as
    evaluations = Store(plan.request.storage.uri).evaluations(dataset, EVALUATION)
    return "\n".join(verdict_lines(dataset, read_estimates(evaluations)))


def try_next(plan: Plan) -> str:
    """Suggest what to do with what was published."""
    store = plan.request.flags.store
    first = plan.partitions[0].metric.name
    return "\n".join(
        [
            "Try next:",
            *([f"  protoscore issues --store {store}"] if plan.probabilities else []),
            f"  protoscore outliers --store {store} --metric {first}",
            f'  protoscore query --store {store} "select * from scores limit 5"',
            f"  protoscore report --store {store}",
        ]
    )


def missing_runs(plan: Plan, missing: Sequence[Run], over: str) -> str:
    """Say why runs are missing after training: the cap that is reached, or "" if they failed."""
    if over:
        trained = len(plan.runs) - len(missing)
        return f"{over} with {trained} of {len(plan.runs)} runs trained"
    names = "; ".join(run.spec.label for run in missing)
    expected = counted(len(plan.runs), "run")
    return f"expected {expected}, {len(missing)} failed after retries ({names})"


def left_out(planned: Plan, made: Plan, reason: str) -> str:
    """Say which metrics were not published, and why."""
    published = {partition.metric.name for partition in made.partitions}
    lost = sorted({p.metric.name for p in planned.partitions} - published)
    return f"{reason}; not published: {', '.join(lost)}; run the same command again to go on"


def ingested(surveys: Mapping[Split, Survey], versions: Mapping[Split, DatasetVersion]) -> str:
    """Say what each split of a dataset holds after ingest."""
    return "\n".join(
        f"{version.name} {split}: {version.rows:,} rows in {len(version.shards)} shards "
        f"({len(surveys[split].missing)} new), {version.undecodable} undecodable, "
        f"version {version.version}"
        for split, version in versions.items()
    )


def _line(stage: str, missing: int, total: int, unit: str, cost: str) -> str:
    reused = f" ({total - missing:,} reused)" if missing < total else ""
    return f"  {stage:<8} {missing:,} of {total:,} {unit}{reused}{': ' + cost if cost else ''}"


def _labels(situation: Situation) -> str:
    """Say what is in force of corrections; "" if there are none."""
    shards = [shard for survey in situation.surveys.values() for shard in survey.shards]
    waiting = sum(len(shard.corrections) for shard in shards if shard.record is None)
    known = [shard for shard in shards if shard.record]
    rows = [row for shard in known for row in (shard.record.overlaid if shard.record else ())]
    excluded = sum(row.label == NO_CLASS for row in rows)
    idle = sum(len(shard.corrections) for shard in known) - len(rows)
    counts = {
        "corrected": len(rows) - excluded,
        "excluded": excluded,
        "to be changed": waiting,
        "of no effect, as the source has that label or another example there": idle,
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _ingest_cost(forecast: Forecast) -> str:
    situation = forecast.situation
    if not situation.to_ingest:
        return ""
    shape = situation.layout.shape
    rows = sum(shard.rows for shard in situation.to_ingest)
    return f"{rows:,} {shape.plural}, {_bytes(rows * shape.nbytes)} decoded"


def _train_cost(forecast: Forecast) -> str:
    if not forecast.missing_runs:
        return ""
    kinds = Counter(run.kind for run in forecast.missing_runs)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    passes = f"at most {_count(forecast.training_passes)} forward + backward passes"
    if looking := forecast.looking_passes:
        passes += f", {_count(looking)} forward passes to look at other rows"
    return f"{parts}; {passes}"


def _score_cost(forecast: Forecast) -> str:
    if not forecast.missing_results:
        return ""
    passes = forecast.passes
    return f"about {_count(passes.forward)} forward and {_count(passes.backward)} backward passes"


def _memory(forecast: Forecast) -> str:
    situation = forecast.situation
    machine, shape = situation.request.flags.machine, situation.layout.shape
    data, logits = situation.rows * shape.nbytes, forecast.logits_bytes
    place = "in memory" if data <= machine.train_memory_bytes else "mapped from disk"
    kept = "kept" if logits <= machine.outputs_bytes else "not kept"
    return (
        f"training data {_bytes(data)} per node, {place}; {_bytes(forecast.largest_shard_bytes)} "
        f"per shard; {machine.cache_memory_gb:g} GB of weights per scorer; logits "
        f"{_bytes(logits)} in the store, {kept}"
    )


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 99.5 else f"{minutes / 60:.1f} h"


def _bytes(count: float) -> str:
    return _scaled(count, (" B", " kB", " MB", " GB", " TB"))


def _count(number: float) -> str:
    return _scaled(number, ("", " k", " M", " G", " T"))


def _scaled(number: float, units: Sequence[str]) -> str:
    """Format a number with three digits in the largest unit that it fills, each 1000 of the last.

    A number that would be rounded up to 1000 of a unit is 1 of the next.
    """
    *smaller, largest = units
    for unit in smaller:
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.0f}{largest}" if number >= 999.5 else f"{number:.3g}{largest}"
