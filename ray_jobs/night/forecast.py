"""What a night will have to do and what that will cost, by stage.

Of a plan the numbers are exact. While rows are still to be ingested there is no plan, for keys need
data; then the forecast counts as missing whatever cannot be known to exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ray_jobs.night.plan import Plan
from ray_jobs.night.situation import Situation
from ray_jobs.night.work import ShardWork, foreseen, shard_work
from scoring.run_spec import RunSpec
from scoring.runs.record import finished
from scoring.score.assignments import passes
from scoring.spec import Passes


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a night will have to do."""

    situation: Situation
    runs: tuple[RunSpec, ...]
    missing_runs: tuple[RunSpec, ...]
    results: int
    """Scores of one metric on one shard."""
    missing_results: int
    passes: Passes
    """Forward and backward passes of all examples that are to be scored."""
    partitions: int
    changed_partitions: int

    @property
    def logits_bytes(self) -> int:
        """Size of the logits of every run on every shard."""
        situation = self.situation
        return 4 * len(self.runs) * situation.rows * len(situation.layout.classes)

    @property
    def largest_shard_bytes(self) -> int:
        """Decoded size of the largest shard that is to be scored."""
        situation = self.situation
        splits = situation.request.splits
        shards = (shard for split in splits for shard in situation.surveys[split].shards)
        return max(shard.piece.rows for shard in shards) * situation.layout.shape.nbytes

    @property
    def training_passes(self) -> float:
        """Forward and backward passes of all training, at most."""
        surveys = self.situation.surveys
        trained = (run for run in self.missing_runs if run.kind not in ("imported", "representer"))
        sizes = ((run, surveys[run.split].rows * run.subset) for run in trained)
        return sum(rows * run.recipe.epochs_for(int(rows)) for run, rows in sizes)


def forecast(situation: Situation) -> Forecast:
    """Foresee a night whose rows are not all ingested yet."""
    request, chosen = situation.request, situation.fleet
    specs = chosen.needed(situation.signals(), request.splits)
    work: tuple[ShardWork, ...] = ()
    missing = specs
    if chosen.published_on is not None:  # the runs have their keys already
        models = chosen.on(chosen.published_on)
        work = shard_work(situation, models)
        runs = models.needed(situation.signals(), request.splits)
        done = finished(request.storage, [run.key for run in runs])
        missing = tuple(run.spec for run in runs if run.key not in done)
    known = {(item.split, item.record.content) for item in work}
    costs, results, lacking = [_cost(work)], 0, sum(len(item.missing) for item in work)
    for split in request.splits:
        assignments = foreseen(situation, split)
        shards = situation.surveys[split].shards
        new = [s for s in shards if s.record is None or (split, s.record.content) not in known]
        results += len(shards) * len(assignments)
        lacking += len(new) * len(assignments)
        costs.append(_times(sum(shard.piece.rows for shard in new), passes(assignments)))
    partitions = len(request.splits) * len(request.metrics)
    return Forecast(
        situation=situation,
        runs=specs,
        missing_runs=missing,
        results=results,
        missing_results=lacking,
        passes=_total(costs),
        partitions=partitions,
        changed_partitions=partitions,
    )


def forecast_of(plan: Plan) -> Forecast:
    """What a plan has to do."""
    return Forecast(
        situation=plan.situation,
        runs=tuple(run.spec for run in plan.runs),
        missing_runs=tuple(run.spec for run in plan.missing_runs),
        results=sum(len(item.tasks) for item in plan.work),
        missing_results=sum(len(item.missing) for item in plan.work),
        passes=_cost(plan.work),
        partitions=len(plan.partitions),
        changed_partitions=len(plan.to_publish),
    )


def _cost(work: Iterable[ShardWork]) -> Passes:
    return _total(
        _times(item.record.rows, passes(task.assignment for task in item.missing)) for item in work
    )


def _times(rows: int, cost: Passes) -> Passes:
    return Passes(forward=rows * cost.forward, backward=rows * cost.backward)


def _total(costs: Iterable[Passes]) -> Passes:
    every = list(costs)
    return Passes(
        forward=sum(cost.forward for cost in every), backward=sum(cost.backward for cost in every)
    )
