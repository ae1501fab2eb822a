"""Ray Tune trains the missing runs of a fleet, several short ones in a trial.

Tune only schedules. Each run writes its own artefact, so a job that was killed resumes by training
what is missing. Trials reuse actors, which saves each of them seconds of start-up.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from ray_jobs.jobs.pace import Pace, training_pace
from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import total
from ray_jobs.on_ray.counters import retry_counter
from ray_jobs.on_ray.errors import is_death, told
from ray_jobs.on_ray.metering import IsOver, never
from ray_jobs.on_ray.packs import pack, rows_to_train_on
from ray_jobs.on_ray.training_data import TrainingData, share_training_data
from ray_jobs.on_ray.waiting import asking
from scoring.data.slice import Slice
from scoring.data.training_set import TrainingSet
from scoring.data.versions import DatasetVersion
from scoring.errors import Outage, OutOfTime
from scoring.logs import fit, logger
from scoring.runs.record import Run, finished
from scoring.runs.train_one import train_run
from scoring.store.keys import Split
from scoring.store.outages import known
from scoring.store.storage import Storage

_log = logger(__name__)
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


def _run_trials(job: "FleetJob", resources: dict[str, float], report: "_Report") -> None:
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


@dataclass(frozen=True, kw_only=True)
class FleetJob:
    """What all trials share, through Ray's object store."""

    storage: Storage
    data: TrainingData
    versions: Mapping[Split, str]
    packs: Sequence[Sequence[Run]]
    slices: Mapping[str, Slice]
    is_over: IsOver


class FleetTrainable(tune.Trainable):
    """Trains a pack of runs, one per step, and writes each as soon as it is done."""

    def setup(self, config: dict[str, Any], job: FleetJob | None = None) -> None:
        """Take a pack; on a retry, only those of its runs that are still missing."""
        assert job is not None  # optional only because the base class has no such parameter
        self._job = job
        self._sets: dict[Split, TrainingSet] = {}
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another pack in the same process."""
        runs = self._job.packs[new_config["pack"]]
        done = finished(self._job.storage, [run.key for run in runs])
        self._left = [run for run in runs if run.key not in done]
        self._already = len(done)
        self._failed: list[str] = []
        return True

    def step(self) -> dict[str, Any]:
        """Train the next run of the pack. A run that fails does not stop the others.

        Failures that may be due to chance are raised at the end, so that Tune tries the pack
        again. A net that cannot be trained this way or a loss that diverges would only fail again,
        so it is just reported. An outage ends the pack.
        """
        trained, self._already = self._already, 0
        hopeless = outage = ""
        pace: Pace | None = None
        if self._left and not self._job.is_over():
            run = self._left.pop(0)
            try:
                pace = self._train(run)
                trained += 1
            except OutOfTime:
                pass  # its last checkpoint is kept
            except Exception as error:
                ours = known(error)
                if isinstance(ours, Outage):
                    outage, self._left = str(ours), []
                elif ours:
                    hopeless = f"{run.spec.label}: {ours}"
                else:
                    self._fail(run, error)
        done = not self._left or self._job.is_over()
        if done and self._failed:
            raise RuntimeError("; ".join(self._failed))
        return {
            "trained": trained,
            "pace": pace,
            "hopeless": hopeless,
            "outage": outage,
            "done": done,
        }

    def _fail(self, run: Run, error: Exception) -> None:
        _log.exception("run failed: %s", run.spec.label)
        self._failed.append(fit(f"{run.spec.label}: {error}"))

    def _train(self, run: Run) -> Pace:
        job = self._job
        self._sets = self._sets or job.data.sets()
        versions, sets = {**job.versions}, {**self._sets}
        began = time.perf_counter()
        if run.key in job.slices:
            split, part = run.spec.split, job.slices[run.key]
            versions[split], sets[split] = part.key, sets[split].only(part.ids, part.labels)
        record = train_run(job.storage, run, versions, sets, is_over=job.is_over)
        return training_pace(record, time.perf_counter() - began)

    def cleanup(self) -> None:
        """Let go of the data, so that scratch space is free once no trial of the node needs it."""
        self._sets = {}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: finished runs are in the store."""

    def load_checkpoint(self, checkpoint: Any) -> None:  # noqa: ANN401
        """Load nothing."""


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
