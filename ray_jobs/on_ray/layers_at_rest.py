"""Layers at rest: each is solved for in one task, on one node, from staged features."""

import time
from collections.abc import Mapping, Sequence

import ray
import torch
from ray.exceptions import RayTaskError

from ray_jobs.jobs.pace import Pace, training_pace
from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.errors import telling, told
from ray_jobs.on_ray.waiting import asking
from scoring.data.versions import DatasetVersion
from scoring.errors import Outage, ProtoscoreError
from scoring.representers.layer_rows import gather_rows
from scoring.runs.at_rest import make_run
from scoring.runs.record import Run, finished
from scoring.store.keys import Split
from scoring.store.storage import Storage

_MOST_CPUS = 16.0  # more would wait for memory


def bring_to_rest(
    storage: Storage,
    missing: Sequence[Run],
    versions: Mapping[Split, DatasetVersion],
    *,
    memory: int,
    scratch: str = "",
) -> tuple[Run, ...]:
    """Make representer runs whose parents are finished and whose features are staged.

    Args:
        storage: the store.
        missing: the runs to make.
        versions: the splits: train brings the layer to rest, test checks it.
        memory: most bytes of features to hold in memory; more go to the node's scratch space.
        scratch: the folder that --scratch names.

    Returns:
        The runs that are still missing.

    Raises:
        Outage: the node or the store failed.
    """
    if not missing:
        return ()
    threads = int(min(_MOST_CPUS, _largest_node()))
    # It asks for one CPU, whatever its threads use: for a whole free node it might wait for ever.
    solve = ray.remote(num_cpus=1)(telling(_solve))
    with (
        asking("solve", "a solver", {"CPU": 1}),
        Progress("solve", len(missing), "layer") as progress,
    ):
        for run in missing:
            try:
                pace = ray.get(solve.remote(storage, run, versions, memory, scratch, threads))
                progress.advance(1, pace)
            except RayTaskError as error:
                failure = told(error)
                if isinstance(failure, Outage) or not isinstance(failure, ProtoscoreError):
                    raise failure from None
                progress.note(f"run failed: {run.spec.label}: {failure}")
    done = finished(storage, [run.key for run in missing])
    return tuple(run for run in missing if run.key not in done)


def _solve(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, DatasetVersion],
    memory: int,
    scratch: str,
    threads: int,
) -> Pace:
    began = time.perf_counter()
    torch.set_num_threads(1)  # the solver has threads of its own
    layer = run.spec.layer_at_rest.layer
    rows = {
        split: gather_rows(storage, run.parent, layer, version, memory, scratch)
        for split, version in versions.items()
    }
    record = make_run(storage, run, {s: v.version for s, v in versions.items()}, rows, threads)
    return training_pace(record, time.perf_counter() - began)


def _largest_node() -> float:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return float(max(node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]))
