"""A forecast: what a night will have to do and what that will cost, stage by stage.

A forecast made from a plan is exact. As long as rows remain to be ingested there is no plan,
because keys depend on data. Until then a forecast counts as missing whatever cannot be known to
exist.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ray_jobs.night.models import Models
from ray_jobs.night.plan import Plan, plan_partitions
from ray_jobs.night.situation import Situation
from ray_jobs.night.work import ShardWork, provisional_assignments, shard_work
from scoring.data.ingest import Survey, assemble
from scoring.run_spec import RunSpec
from scoring.runs.record import finished, identify
from scoring.score.assignments import passes
from scoring.spec import Passes
from scoring.store.keys import Split
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a night will have to do."""

    situation: Situation
    runs: tuple[RunSpec, ...]
    missing_runs: tuple[RunSpec, ...]
    results: int
    """Results to have in the end: the scores of one metric on one shard each."""
    missing_results: int
    shards_to_score: int
    """Shards that lack a result."""
    passes: Passes
    """Forward and backward passes that scoring will take, over all examples."""
    partitions: int
    changed_partitions: int

    @property
    def logits_bytes(self) -> int:
        """Size of the logits of every run on every shard."""
        situation = self.situation
        return 4 * len(self.runs) * situation.rows * len(situation.layout.classes)

    @property
    def largest_shard_bytes(self) -> int:
        """Decoded size of the largest shard of the splits to score."""
        situation = self.situation
        splits = situation.request.splits
        shards = (shard for split in splits for shard in situation.surveys[split].shards)
        return max(shard.rows for shard in shards) * situation.layout.shape.nbytes

    @property
    def rows(self) -> dict[Split, int]:
        """Rows of each split."""
        return {split: survey.rows for split, survey in self.situation.surveys.items()}

    @property
    def training_passes(self) -> float:
        """Forward and backward passes that training will take, at most."""
        trained = (run for run in self.missing_runs if run.kind not in ("imported", "representer"))
        sizes = ((run, self.rows[run.split] * run.share) for run in trained)
        return sum(rows * run.recipe.epochs_for(int(rows)) for run, rows in sizes)

    @property
    def looking_passes(self) -> float:
        """Forward passes by which runs look at rows that they do not train on, at most."""
        looking = (run for run in self.missing_runs if run.tallies)
        sizes = ((run, int(self.rows[run.split] * run.share)) for run in looking)
        return sum(run.looked_at(self.rows) * run.recipe.epochs_for(rows) for run, rows in sizes)


def forecast(situation: Situation, plan: Plan | None) -> Forecast:
    """Forecast a night: exactly if there is a plan, else as far as metadata tells."""
    return _from_plan(plan) if plan else _before_ingest(situation)


def _before_ingest(situation: Situation) -> Forecast:
    request, trained_on = situation.request, situation.fleet.published_on
    models = situation.fleet.on(trained_on) if trained_on else None
    work = shard_work(situation, models) if models else ()
    specs = situation.fleet.needed(situation.signals(), request.splits)
    costs, results, changed = [_cost(work)], 0, 0
    missing_results = sum(len(item.missing) for item in work)
    to_score = sum(bool(item.missing) for item in work)
    for split in request.splits:
        survey, assignments = situation.surveys[split], provisional_assignments(situation, split)
        new = survey.missing if models else survey.shards
        costs.append(_times(sum(shard.rows for shard in new), passes(assignments)))
        results += len(survey.shards) * len(assignments)
        missing_results += len(new) * len(assignments)
        to_score += len(new)
        changed += _changed_partitions(situation, models, survey, work)
    return Forecast(
        situation=situation,
        runs=specs,
        missing_runs=_missing_runs(request.storage, specs, trained_on or {}),
        results=results,
        missing_results=missing_results,
        shards_to_score=to_score,
        passes=_total(costs),
        partitions=len(request.splits) * len(request.metrics),
        changed_partitions=changed,
    )


def _missing_runs(
    storage: Storage, specs: Sequence[RunSpec], versions: Mapping[Split, str]
) -> tuple[RunSpec, ...]:
    """Return the runs that are unfinished, or whose data is still to come."""
    known = [identify(spec, versions) for spec in specs if {*spec.splits()} <= {*versions}]
    done = finished(storage, [run.key for run in known])
    there = {run.spec for run in known if run.key in done}
    return tuple(spec for spec in specs if spec not in there)


def _changed_partitions(
    situation: Situation, models: Models | None, survey: Survey, work: Sequence[ShardWork]
) -> int:
    """Count the partitions of a split that may change: all, unless their keys are known."""
    request = situation.request
    if models is None or survey.missing:
        return len(request.metrics)
    version = assemble(survey, (), request.flags.data.max_corrupt)
    return sum(plan.changed for plan in plan_partitions(situation, models, version, work))


def _from_plan(plan: Plan) -> Forecast:
    return Forecast(
        situation=plan.situation,
        runs=tuple(run.spec for run in plan.runs),
        missing_runs=tuple(run.spec for run in plan.missing_runs),
        results=sum(len(item.tasks) for item in plan.work),
        missing_results=sum(len(item.missing) for item in plan.work),
        shards_to_score=len(plan.to_score),
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
    forward = backward = 0.0
    for cost in costs:
        forward += cost.forward
        backward += cost.backward
    return Passes(forward=forward, backward=backward)
