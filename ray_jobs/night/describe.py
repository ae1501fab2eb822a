"""What a job tells its user: the forecast, notes on it, and the outcome."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ray_jobs.night.forecast import Forecast
from ray_jobs.night.plan import Plan
from scoring.data.ingest import Survey
from scoring.data.versions import DatasetVersion
from scoring.runs.record import Run
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import table_path
from scoring.tables.publish import Outcome

OUT_OF_TIME = "--max-hours: the time was over"


def forecast(ahead: Forecast) -> str:
    """The forecast as a table: what there is to do and what it will cost."""
    situation = ahead.situation
    request, layout = situation.request, situation.layout
    rows = " + ".join(f"{situation.surveys[s].rows:,} {s}" for s in SPLITS)
    pieces = sum(len(survey.shards) for survey in situation.surveys.values())
    lines = [
        f"Plan for {request.publish_as} in {request.storage.uri}: {rows} examples, "
        f"{len(layout.classes)} classes, {layout.shape}",
        _line("ingest", len(situation.to_ingest), pieces, "shards", _ingest_cost(ahead)),
        _line("train", len(ahead.missing_runs), len(ahead.runs), "runs", _train_cost(ahead)),
        _line("score", ahead.missing_results, ahead.results, "shard results", _score_cost(ahead)),
        _line("publish", ahead.changed_partitions, ahead.partitions, "partitions", ""),
        f"  memory   {_memory(ahead)}",
    ]
    if situation.left_out:
        names = ", ".join(situation.left_out)
        lines.append(f"  left out {names}: they do not apply to {layout.shape.plural} or the net")
    return "\n".join(lines)


def notes(plan: Plan) -> list[str]:
    """What a user should know before training starts."""
    chosen = plan.models.chosen
    private = any(run.spec.privacy for run in plan.missing_runs)
    if chosen.private_form == "group_norm" and private:
        net = chosen.settings["net"]
        return [
            f"note: {net} has BatchNorm, which mixes examples; private runs use its GroupNorm form"
        ]
    return []


def nothing_to_do(plan: Plan) -> str:
    """Why nothing was done."""
    last = max(plan.situation.published[p.partition].planned_at for p in plan.partitions)
    return (
        "Nothing to do: no run to train, no shard to score, nothing to commit. The scores "
        f"published by the night of {last[:19].replace('T', ' ')} UTC are current."
    )


def outcome(plan: Plan, result: Outcome) -> str:
    """What was published."""
    store = plan.request.flags.store
    name = plan.request.publish_as
    lines = []
    if result.committed:
        rows = sum(manifest.rows for manifest in result.committed)
        lines.append(
            f"Published {len(result.committed)} partitions of {name}, {rows:,} rows, as version "
            f"{result.version} of {store}/{table_path('scores')}"
        )
    if result.already:
        lines.append(f"{len(result.already)} partitions were already published by another job")
    if result.yielded:
        lines.append(f"{len(result.yielded)} partitions were left to a night planned later")
    return "\n".join(lines)


def try_next(plan: Plan) -> str:
    """What to do with what was published."""
    store = plan.request.flags.store
    first = plan.partitions[0].metric.name
    return "\n".join(
        [
            "Try next:",
            f"  protoscore outliers --store {store} --metric {first}",
            f'  protoscore query --store {store} "select * from scores limit 5"',
            f"  protoscore report --store {store}",
        ]
    )


def missing_runs(plan: Plan, missing: Sequence[Run], *, out_of_time: bool) -> str:
    """Why runs are missing after training."""
    if out_of_time:
        trained = len(plan.runs) - len(missing)
        return f"{OUT_OF_TIME} with {trained} of {len(plan.runs)} runs trained"
    names = "; ".join(run.spec.label for run in missing)
    return f"expected {len(plan.runs)} runs, {len(missing)} failed after retries ({names})"


def left_out(planned: Plan, made: Plan, reason: str) -> str:
    """Which metrics were not published, and why."""
    published = {partition.metric.name for partition in made.partitions}
    lost = sorted({p.metric.name for p in planned.partitions} - published)
    return f"{reason}, so {', '.join(lost)} were not published; the same command goes on"


def ingested(surveys: Mapping[Split, Survey], versions: Mapping[Split, DatasetVersion]) -> str:
    """What each split of a dataset holds after ingest."""
    return "\n".join(
        f"{version.name} {split}: {version.rows:,} rows in {len(version.shards)} shards "
        f"({len(surveys[split].missing)} new), {version.undecodable} undecodable, "
        f"version {version.version}"
        for split, version in versions.items()
    )


def _line(stage: str, missing: int, total: int, unit: str, cost: str) -> str:
    reused = f" ({total - missing:,} reused)" if missing < total else ""
    return f"  {stage:<8} {missing:,} of {total:,} {unit}{reused}{': ' + cost if cost else ''}"


def _ingest_cost(ahead: Forecast) -> str:
    situation = ahead.situation
    if not situation.to_ingest:
        return ""
    shape = situation.layout.shape
    rows = sum(shard.piece.rows for shard in situation.to_ingest)
    return f"{rows:,} {shape.plural}, {_bytes(rows * shape.nbytes)} decoded"


def _train_cost(ahead: Forecast) -> str:
    if not ahead.missing_runs:
        return ""
    kinds = Counter(run.kind for run in ahead.missing_runs)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{parts}; at most {_count(ahead.training_passes)} forward + backward passes"


def _score_cost(ahead: Forecast) -> str:
    passes = ahead.passes
    return f"about {_count(passes.forward)} forward and {_count(passes.backward)} backward passes"


def _memory(ahead: Forecast) -> str:
    situation = ahead.situation
    machine, shape = situation.request.flags.machine, situation.layout.shape
    data = situation.rows * shape.nbytes
    place = "in memory" if data <= machine.train_memory_bytes else "mapped from disk"
    kept = "kept" if ahead.logits_bytes <= machine.outputs_bytes else "not kept"
    return (
        f"training data {_bytes(data)} {place} a node; {_bytes(ahead.largest_shard_bytes)} a shard "
        f"and {machine.cache_memory_gb:g} GB of weights a scorer; logits "
        f"{_bytes(ahead.logits_bytes)} in the store, {kept}"
    )


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _count(number: float) -> str:
    for unit in ("", " k", " M", " G"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} T"
