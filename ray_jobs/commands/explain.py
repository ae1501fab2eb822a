"""Which training examples explain predictions: representer points (Yeh et al. 2018).

    protoscore explain --ids 17 42                 two test examples, on a page to look at
    protoscore explain --misclassified             every test example that the net gets wrong
    protoscore explain --confused cat dog          what makes cats dogs
    protoscore explain                             every test example

The prediction is taken apart into one share a training example: above 0 excitatory, below 0
inhibitory. The strongest of both land in the table `representers`, the layer that they belong to,
and the proof that shares make up the whole, in `representer_models`.
"""

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import ExplainPlan, plan_explanations
from ray_jobs.explanations.explain_show import show
from ray_jobs.jobs.job_record import new_job_id
from ray_jobs.jobs.lease import Lease
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.errors import IncompleteError
from scoring.runs.record import RunRecord, finished
from scoring.score.signals import SignalOptions
from scoring.tables.explanations import publish_explanations, publish_model

if TYPE_CHECKING:
    from ray_jobs.on_ray.map_shards import PoolOptions

_GB = 1 << 30


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing, publish it and show it; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    started = datetime.now(UTC)
    flags = parse_flags(ExplainFlags, args, "protoscore explain", __doc__)
    flags.check()
    plan = plan_explanations(flags)
    lease = Lease(
        plan.storage,
        "explain",
        job_id=new_job_id(started),
        started=started,
        command=shlex.join(["protoscore", "explain", *args]),
        dataset=plan.dataset,
    )
    with lease:
        staged = _make(plan, flags.machine)
        publish_model(plan.storage, plan.dataset, plan.run.key, plan.model_row())
        version = publish_explanations(
            plan.storage,
            plan.dataset,
            plan.split,
            plan.run.key,
            staged,
            whole=plan.question.whole,
        )
        lease.end("published")
    print(f"Published as version {version} of {plan.storage.uri}/tables/representers")
    show(plan, flags, staged)
    return 0


def _make(plan: ExplainPlan, machine: MachineFlags) -> list[str]:
    """Make what is missing; returns where the explanations of each shard are staged."""
    from ray_jobs.on_ray.explain_shards import ExplainJob

    job = ExplainJob(
        storage=plan.storage,
        run=plan.run.key,
        base=plan.base.key,
        about=plan.about,
        train=plan.versions["train"],
        question=plan.question,
    )
    shards = [shard.content for shard in plan.explained.shards]
    paths = [job.path(content) for content in shards]
    if finished(plan.storage, [plan.run.key]) and plan.storage.existing(paths) == {*paths}:
        print("Nothing to compute: all of it is in the store.", flush=True)
        return paths
    # Ray takes seconds to import: what is there already never needs it.
    from ray_jobs.on_ray.cluster import cluster
    from ray_jobs.on_ray.explain_shards import explain_shards
    from ray_jobs.on_ray.layers_at_rest import stage_features

    with cluster(machine.address, machine.cpus):
        bring_to_rest(plan, machine)
        base, layer = plan.base.key, plan.about.layer
        splits = [plan.versions["train"], plan.explained]
        stage_features(plan.storage, base, layer, splits, *resources(plan.base, machine))
        return explain_shards(job, shards)


def bring_to_rest(plan: ExplainPlan, machine: MachineFlags) -> None:
    """Make the representer run unless it is there; on the cluster that this process has joined.

    Raises:
        IncompleteError: it failed.
    """
    from ray_jobs.on_ray.layers_at_rest import make_representers

    if finished(plan.storage, [plan.run.key]):
        return
    memory = int(machine.train_memory_gb * _GB)
    if make_representers(
        plan.storage, [plan.run], plan.versions, *resources(plan.base, machine), memory=memory
    ):
        raise IncompleteError(f"expected {plan.run.spec.label} at rest, it failed")


def resources(base: RunRecord, machine: MachineFlags) -> "tuple[SignalOptions, PoolOptions]":
    """How the net of a run is asked, and on what; on the cluster that this process has joined."""
    from ray_jobs.on_ray.cluster import total
    from ray_jobs.on_ray.map_shards import PoolOptions

    device = base.device if total("GPU") else "cpu"
    cache = int(machine.cache_memory_gb * _GB)
    options = SignalOptions(
        batch_rows=machine.batch_rows, device=device, cache_bytes=cache, keep_outputs=False
    )
    gpus = machine.gpus_per_scorer if device == "cuda" else 0.0
    return options, PoolOptions(gpus_per_actor=gpus, weights_bytes=cache)
