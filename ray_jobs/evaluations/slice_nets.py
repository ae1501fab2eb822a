"""The nets of `evaluate slices`: trained as a fleet, then asked."""

from collections.abc import Sequence

from ray_jobs.engine import Engine, engine
from ray_jobs.evaluations.slice_plan import SlicePlan
from ray_jobs.evaluations.staged import is_staged, stage
from scoring.errors import IncompleteError
from scoring.runs.record import Run, finished


def make_nets(plan: SlicePlan) -> None:
    """Train the nets that are missing and stage their answers.

    Raises:
        IncompleteError: trainings failed; those that are done stay.
    """
    predictions = [plan.predicting(run) for run in plan.runs]
    distances = [how for run in plan.attacked() for how in plan.attacking(run).values()]
    answers = ((plan.judging, predictions), (plan.sample, distances))
    missing = _missing(plan)
    if not missing and all(is_staged(*answer) for answer in answers):
        return
    with engine(plan.flags.machine, plan.snapshot.dataset) as cluster:
        _train(cluster, plan, missing)
        device = cluster.device(plan.like.device)
        for examples, assignments in answers:
            stage(cluster, examples, assignments, device)


def _missing(plan: SlicePlan) -> list[Run]:
    """The nets to train; prints what they cost."""
    done = finished(plan.storage, [run.key for run in plan.runs])
    missing = [run for run in plan.runs if run.key not in done]
    rows = {run.key: len(plan.slices[run.key].ids) for run in missing}
    passes = sum(rows[r.key] * r.spec.recipe.epochs_for(rows[r.key]) for r in missing)
    cost = f": {passes:,} examples forward and backward" if missing else ""
    print(f"{len(plan.runs)} nets, {len(missing)} to train{cost}", flush=True)
    return missing


def _train(engine: Engine, plan: SlicePlan, missing: Sequence[Run]) -> None:
    slices = {run.key: plan.slices[run.key] for run in missing}
    left = engine.train(plan.storage, missing, plan.versions, slices=slices)
    if left:
        raise IncompleteError(
            f"expected {len(plan.runs)} trained nets, got {len(plan.runs) - len(left)}; the same "
            "command trains the others"
        )
