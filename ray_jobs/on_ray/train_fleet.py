"""Ray Tune trains the missing runs of a fleet, several short ones in a trial.

Tune only schedules. Each run writes its own artefact, so a job that was killed resumes by training
what is missing. Trials reuse actors, which saves each of them seconds of start-up.
"""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import total
from ray_jobs.on_ray.counters import retry_counter
from ray_jobs.on_ray.errors import is_death, told
from ray_jobs.on_ray.metering import IsOver, never
from ray_jobs.on_ray.packs import pack, rows_to_train_on
from ray_jobs.on_ray.train_pack import FleetJob, FleetTrainable
from ray_jobs.on_ray.training_data import share_training_data
from ray_jobs.on_ray.waiting import asking
from scoring.data.slice import Slice
from scoring.data.versions import DatasetVersion
from scoring.errors import Outage
from scoring.runs.record import Run, finished
from scoring.store.keys import Split
from scoring.store.storage import Storage

_RETRIES = 2

# Tune would pass these to its actors in a runtime environment, which Ray writes to its logs. Nodes
# have their own credentials.
class_cache.ENV_VARS_TO_PROPAGATE -= {n for n in class_cache.ENV_VARS_TO_PROPAGATE if "AWS" in n}


def train_fleet(
    storage: Storage,
    missing: Sequence[Run],
    versions: Mapping[Split, DatasetVersion],
    *,
    train_memory: int,
    scratch: str = "",
    gpus_per_run: float,
    is_over: IsOver = never,
    slices: Mapping[str, Slice] | None = None,
) -> tuple[Run, ...]:
    """Train `missing`, parents before children; return the runs that are still missing.

    Args:
        storage: the store to write runs to.
        missing: runs to train.
        versions: the dataset versions to train on.
        train_memory: most bytes of decoded data to hold in memory; more go to scratch space.
        scratch: the folder that --scratch names.
        gpus_per_run: share of a GPU that a run on cuda takes.
        is_over: whether no epoch is to be begun any more.
        slices: by run key, the slice of its split to train on; other runs train on all of it.

    Returns:
        Runs that failed after retries or that time did not suffice for.

    Raises:
        Outage: a node or the store failed, and runs are missing.
    """
    if not missing:
        return ()
    spec = missing[0].spec
    resources = {"cpu": float(spec.threads), "gpu": gpus_per_run if spec.device == "cuda" else 0.0}
    slices = slices or {}
    job = FleetJob(
        storage=storage,
        data=share_training_data(storage, versions, train_memory, scratch),
        versions={split: version.version for split, version in versions.items()},
        packs=pack(missing, rows_to_train_on(missing, versions, slices), _slots(resources)),
        slices=slices,
        is_over=is_over,
    )
    with (
        asking("train", "a trial", {"CPU": resources["cpu"], "GPU": resources["gpu"]}),
        Progress("train", len(missing), "run") as progress,
    ):
        report = _Report(progress)
        _run_trials(job, resources, report)
    done = finished(storage, [run.key for run in missing])
    if report.outage and len(done) < len(missing):
        raise Outage(report.outage)
    return tuple(run for run in missing if run.key not in done)


def _run_trials(job: FleetJob, resources: dict[str, float], report: "_Report") -> None:
    """Run a trial for each pack."""
    trainable = tune.with_parameters(FleetTrainable, job=job)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"pack": tune.grid_search(list(range(len(job.packs))))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[report],
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
            ),
        )
        for error in tuner.fit().errors:
            report.failed(error)


class _Report(Callback):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._retried = retry_counter()
        self.outage = ""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out everything: Tune saves callbacks to resume from, which we never do."""
        return {}

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Count a trial that failed and is tried again."""
        self._retried()

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: object,
    ) -> None:
        """Count what the trial has just trained, or say what failed."""
        self._progress.advance(int(result.get("trained", 0)), result.get("pace"))
        if result.get("hopeless"):
            self._progress.note(f"run failed: {result['hopeless']}")
        self.outage = self.outage or str(result.get("outage", ""))

    def failed(self, error: Exception) -> None:
        """Say why a trial failed for good."""
        failure = told(error)
        if isinstance(failure, Outage) and not is_death(error):
            self.outage = self.outage or str(failure)
        elif is_death(error):
            self._progress.note(f"trial failed: {failure}")


def _slots(resources: Mapping[str, float]) -> int:
    """Return how many trials the cluster can run at once."""
    slots = total("CPU") / max(resources["cpu"], 1e-9)
    if resources["gpu"]:
        slots = min(slots, total("GPU") / resources["gpu"])
    return max(1, int(slots))
