"""Explaining: bring the layer to rest, explain each shard, publish."""

from collections.abc import Sequence

from ray_jobs.engine import Engine, engine
from ray_jobs.explanations.explain_plan import ExplainPlan
from ray_jobs.explanations.explain_shards import ExplainJob, explain_shards
from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.say import say
from scoring.errors import IncompleteError
from scoring.runs.record import finished
from scoring.store.layout import table_path
from scoring.tables.explanations import publish_explanations, publish_model


def explain(plan: ExplainPlan, machine: MachineFlags, command: str) -> Sequence[str]:
    """Make what is missing and publish it.

    Returns:
        Paths of the staged explanations, one per shard.

    Raises:
        IncompleteError: the layer or some shards could not be done.
    """
    storage, run = plan.storage, plan.run.key
    with writing_job(storage, "explain", command=command, dataset=plan.dataset) as lease:
        lease.refuse_old_plans()
        staged = _make(plan, machine)
        publish_model(storage, plan.dataset, run, plan.model_row())
        whole = plan.question.takes_all
        version = publish_explanations(storage, plan.dataset, plan.split, run, staged, whole=whole)
        lease.end("published")
    say(f"Published as version {version} of {storage.uri}/{table_path('representers')}")
    return staged


def bring_to_rest(engine: Engine, plan: ExplainPlan) -> None:
    """Make the representer run, unless it is finished.

    Raises:
        IncompleteError: it failed.
    """
    if finished(plan.storage, [plan.run.key]):
        return
    device = engine.device(plan.base.device)
    if engine.bring_to_rest(plan.storage, [plan.run], plan.versions, device):
        raise IncompleteError(f"expected {plan.run.spec.label} to come to rest, but it failed")


def _make(plan: ExplainPlan, machine: MachineFlags) -> list[str]:
    """Make what is missing; return where the explanations of each shard are staged."""
    job = ExplainJob(
        storage=plan.storage,
        run=plan.run.key,
        base=plan.base.key,
        representer=plan.representer,
        train=plan.versions["train"],
        question=plan.question,
        scratch=machine.scratch_folder,
    )
    shards = [shard.content for shard in plan.explained.shards]
    if finished(plan.storage, [plan.run.key]) and not job.missing(shards):
        say("Nothing to compute: everything is in the store.", flush=True)
    else:
        with engine(machine, plan.dataset) as cluster:
            bring_to_rest(cluster, plan)
            splits = [plan.versions["train"], plan.explained]
            device = cluster.device(plan.base.device)
            base, layer = plan.base.key, plan.representer.layer
            cluster.stage_features(plan.storage, base, layer, splits, device)
            explain_shards(cluster, job, shards)
    return [job.path(content) for content in shards]
