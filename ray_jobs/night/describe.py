"""What a job tells its user: the plan, notes on it, and what came of it."""

from collections import Counter
from collections.abc import Sequence

from ray_jobs.night.plan import Plan
from scoring.runs.record import Run
from scoring.score.scorer import passes
from scoring.store.keys import SPLITS
from scoring.tables.publish import Outcome

OUT_OF_TIME = "--max-hours: the time was over"


def plan(night: Plan) -> str:
    """The plan as a table: what there is to do, and what it will cost."""
    asked = night.asked
    rows = " + ".join(f"{night.surveys[s].rows:,} {s}" for s in SPLITS)
    pieces = sum(len(survey.shards) for survey in night.surveys.values())
    layout = night.surveys["train"].layout
    lines = [
        f"Plan for {asked.publish_as} in {asked.storage.uri}: {rows} examples, "
        f"{len(layout.classes)} classes, {layout.shape}",
        _line("ingest", len(night.to_ingest), pieces, "shards", _ingest_cost(night)),
        _line("train", len(night.missing_runs), len(night.runs), "runs", _train_cost(night)),
        _line(
            "score",
            sum(len(work.missing) for work in night.work),
            sum(len(work.tasks) for work in night.work),
            "shard results",
            _score_cost(night),
        ),
        _line("publish", len(night.to_publish), len(night.partitions), "partitions", ""),
        f"  memory   {_memory(night)}",
    ]
    if night.left_out:
        lines.append(
            f"  left out {', '.join(night.left_out)}: {layout.shape.plural} or net have none"
        )
    return "\n".join(lines)


def notes(night: Plan) -> list[str]:
    """What a user should know before training starts."""
    net = night.models.settings["net"]
    lines = []
    private = any(run.spec.privacy for run in night.missing_runs)
    if night.models.private_form == "group_norm" and private:
        lines.append(
            f"note: {net} has BatchNorm, which mixes examples; private runs use its GroupNorm form"
        )
    return lines


def nothing_to_do(night: Plan) -> str:
    """Why nothing was done."""
    last = max(night.published[p.partition].planned_at for p in night.partitions)
    return (
        "Nothing to do: no run to train, no shard to score, nothing to commit. The scores "
        f"published by the night of {last[:19].replace('T', ' ')} UTC are current."
    )


def outcome(night: Plan, result: Outcome) -> str:
    """What was published."""
    store = night.asked.flags.store
    name = night.asked.publish_as
    lines = []
    if result.committed:
        rows = sum(manifest.rows for manifest in result.committed)
        lines.append(
            f"Published {len(result.committed)} partitions of {name}, {rows:,} rows, as version "
            f"{result.version} of {store}/tables/scores"
        )
    if result.already:
        lines.append(f"{len(result.already)} partitions were already published by another job")
    if result.yielded:
        lines.append(f"{len(result.yielded)} partitions were left to a night planned later")
    return "\n".join(lines)


def try_next(night: Plan) -> str:
    """What to do with what was published."""
    store = night.asked.flags.store
    first = night.partitions[0].spec.name
    return "\n".join(
        [
            "Try next:",
            f"  protoscore outliers --store {store} --metric {first}",
            f'  protoscore query --store {store} "select * from scores limit 5"',
            f"  protoscore report --store {store}",
        ]
    )


def missing_runs(night: Plan, missing: Sequence[Run], *, out_of_time: bool) -> str:
    """Why runs are missing after training."""
    if out_of_time:
        trained = len(night.runs) - len(missing)
        return f"{OUT_OF_TIME} with {trained} of {len(night.runs)} runs trained"
    names = "; ".join(run.spec.label for run in missing)
    return f"expected {len(night.runs)} runs, {len(missing)} failed after retries ({names})"


def left_out(planned: Plan, made: Plan, why: str) -> str:
    """What was not published and why."""
    published = {partition.spec.name for partition in made.partitions}
    lost = sorted({p.spec.name for p in planned.partitions} - published)
    return f"{why}, so {', '.join(lost)} were not published; the same command goes on"


def _line(stage: str, missing: int, total: int, unit: str, cost: str) -> str:
    reused = f" ({total - missing:,} reused)" if missing < total else ""
    return f"  {stage:<8} {missing:,} of {total:,} {unit}{reused}{': ' + cost if cost else ''}"


def _ingest_cost(night: Plan) -> str:
    if not night.to_ingest:
        return ""
    shape = night.surveys["train"].layout.shape
    rows = sum(shard.piece.rows for shard in night.to_ingest)
    return f"{rows:,} {shape.plural}, {_bytes(rows * shape.nbytes)} decoded"


def _train_cost(night: Plan) -> str:
    if not night.missing_runs:
        return ""
    kinds = Counter(run.spec.kind for run in night.missing_runs)
    passes = sum(
        rows * run.spec.recipe.epochs_for(int(rows))
        for run in night.missing_runs
        for rows in [night.surveys[run.spec.split].rows * run.spec.subset]
        if run.spec.kind not in ("imported", "representer")
    )
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{parts}; at most {_count(passes)} forward + backward passes"


def _score_cost(night: Plan) -> str:
    forward = backward = 0.0
    for work in night.to_score:
        cost = passes(task.assignment for task in work.missing)
        forward += work.shard.piece.rows * cost.forward
        backward += work.shard.piece.rows * cost.backward
    return f"about {_count(forward)} forward and {_count(backward)} backward passes"


def _memory(night: Plan) -> str:
    machine = night.asked.flags.machine
    shape = night.surveys["train"].layout.shape
    data = sum(s.rows for s in night.surveys.values()) * shape.nbytes
    shard = max(work.shard.piece.rows for work in night.work) * shape.nbytes
    place = "in memory" if data <= machine.train_memory_gb * 2**30 else "mapped from disk"
    kept = "kept" if night.outputs_bytes <= machine.outputs_gb * 2**30 else "not kept"
    return (
        f"training data {_bytes(data)} {place} a node; {_bytes(shard)} a shard and "
        f"{machine.cache_memory_gb:g} GB of weights a scorer; logits {_bytes(night.outputs_bytes)} "
        f"in the store, {kept}"
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
