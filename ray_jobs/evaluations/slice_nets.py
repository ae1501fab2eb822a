"""The nets of `evaluate slices`: trained as a fleet, then tested."""

from collections.abc import Sequence

from ray_jobs.engine import Engine, engine
from ray_jobs.evaluations.slice_plan import SlicePlan
from ray_jobs.evaluations.staged import is_staged, stage
from ray_jobs.terminal.say import say
from scoring.errors import IncompleteError
from scoring.runs.record import Run, finished


def make_nets(plan: SlicePlan) -> None:
    """Train the nets that are missing, and stage their predictions and distances.

    Raises:
        IncompleteError: some trainings failed. Finished ones stay.
    """
    predictions = [plan.prediction(run) for run in plan.runs]
    distances = [distance for run in plan.attacked() for distance in plan.distances(run).values()]
    tests = ((plan.tested, predictions), (plan.sample, distances))
    missing = _missing(plan)
    if not missing and all(is_staged(*test) for test in tests):
        return
    with engine(plan.flags.machine, plan.snapshot.dataset) as cluster:
        _train(cluster, plan, missing)
        device = cluster.device(plan.imitated.device)
        for examples, assignments in tests:
            stage(cluster, examples, assignments, device)


def _missing(plan: SlicePlan) -> list[Run]:
    """Return the nets to train, and print what they cost."""
    done = finished(plan.storage, [run.key for run in plan.runs])
    missing = [run for run in plan.runs if run.key not in done]
    rows = {run.key: len(plan.slices[run.key].ids) for run in missing}
    passes = sum(rows[r.key] * r.spec.recipe.epochs_for(rows[r.key]) for r in missing)
    cost = f": {passes:,} examples forward and backward" if missing else ""
    say(f"{len(plan.runs)} nets, {len(missing)} to train{cost}", flush=True)
    return missing


def _train(engine: Engine, plan: SlicePlan, missing: Sequence[Run]) -> None:
    slices = {run.key: plan.slices[run.key] for run in missing}
    failed = engine.train(plan.storage, missing, plan.versions, slices=slices)
    if failed:
        raise IncompleteError(
            f"expected {len(plan.runs)} trained nets, got {len(plan.runs) - len(failed)}; run the "
            "same command again to train the others"
        )
