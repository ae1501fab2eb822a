"""Ray Tune trains the missing runs of a fleet, several short ones in a trial.

Tune only schedules: each run writes its own artefact, so a killed job starts again by training
what is missing. Actors are reused between trials, which saves seconds of start-up on each.
"""

import logging
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import total
from ray_jobs.on_ray.counters import retry_counter
from ray_jobs.on_ray.training_data import TrainingData, share_training_data
from scoring.data.slice import Slice
from scoring.data.versions import DatasetVersion
from scoring.errors import OutOfTime, ProtoscoreError
from scoring.runs.record import Run, finished
from scoring.runs.train_one import train_run
from scoring.store.keys import Split
from scoring.store.storage import Storage

_log = logging.getLogger(__name__)
_RETRIES = 2
_PACK_SECONDS = 20.0  # long enough to drown a trial's 0.7 s, short enough to lose in a crash
_PASSES_PER_SECOND = 20_000.0  # a small net on one core; only decides how runs are packed
_TRIALS_PER_SLOT = 4  # and no fewer, so that slots stay busy to the end

# Tune would hand these to its actors in a runtime environment, which Ray writes to its logs. Nodes
# have credentials of their own.
class_cache.ENV_VARS_TO_PROPAGATE -= {n for n in class_cache.ENV_VARS_TO_PROPAGATE if "AWS" in n}


def train_fleet(
    storage: Storage,
    missing: Sequence[Run],
    versions: Mapping[Split, DatasetVersion],
    *,
    train_memory: int,
    gpus_per_run: float,
    until: float = math.inf,
    slices: Mapping[str, Slice] | None = None,
) -> tuple[Run, ...]:
    """Train `missing`, parents before children; returns the runs that are still missing.

    Args:
        storage: the store that runs are written to.
        missing: runs to train.
        versions: the dataset versions they train on.
        train_memory: bytes of decoded data to hold in memory; more is mapped from disk.
        gpus_per_run: share of a GPU a run takes, for specs on cuda.
        until: time (seconds since the epoch) after which no epoch is begun.
        slices: run key to the slice of its split that it trains on; other runs train on all.

    Returns:
        Runs that failed after retries, or that there was no time for; empty where all went well.
    """
    if not missing:
        return ()
    spec = missing[0].spec
    resources = {"cpu": float(spec.threads), "gpu": gpus_per_run if spec.device == "cuda" else 0.0}
    slices = slices or {}
    rows = {
        run.key: len(slices[run.key].ids) if run.key in slices else versions[run.spec.split].rows
        for run in missing
        if run.spec.splits()
    }
    packs = pack(missing, rows, _slots(resources))
    data = share_training_data(storage, versions, train_memory)
    keys = {split: version.version for split, version in versions.items()}
    job = FleetJob(
        storage=storage, data=data, versions=keys, packs=packs, slices=slices, until=until
    )
    trainable = tune.with_parameters(FleetTrainable, job=job)
    with Progress("train", len(missing), "run") as progress, tempfile.TemporaryDirectory() as tmp:
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"pack": tune.grid_search(list(range(len(packs))))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=tmp,
                verbose=0,
                callbacks=[_Report(progress)],
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
            ),
        )
        tuner.fit()
    done = finished(storage, [run.key for run in missing])
    return tuple(run for run in missing if run.key not in done)


@dataclass(frozen=True, kw_only=True)
class FleetJob:
    """What all trials share, through Ray's object store."""

    storage: Storage
    data: TrainingData
    versions: Mapping[Split, str]
    packs: Sequence[Sequence[Run]]
    slices: Mapping[str, Slice]
    until: float


class FleetTrainable(tune.Trainable):
    """Trains a pack of runs, one a step, and writes each as soon as it is done."""

    def setup(self, config: dict[str, Any], job: FleetJob | None = None) -> None:
        """Take a pack; on a retry, only what is still missing of it."""
        assert job is not None  # Tune's base class knows no parameters
        self._job = job
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
        """Train the next run of the pack; a failing one does not stop the others.

        What went wrong by chance is raised at the end, and Tune tries the pack again. A net that
        cannot be trained so, or a loss that diverges, would fail again and is only reported.
        """
        trained, self._already = self._already, 0
        hopeless = ""
        if self._left and time.time() < self._job.until:
            run = self._left.pop(0)
            try:
                self._train(run)
                trained += 1
            except OutOfTime:
                pass  # how far it got is kept
            except ProtoscoreError as error:
                hopeless = f"{run.spec.label}: {error}"
            except Exception as error:
                _log.exception("run failed: %s", run.spec.label)
                self._failed.append(f"{run.spec.label}: {error}")
        done = not self._left or time.time() >= self._job.until
        if done and self._failed:
            raise RuntimeError("; ".join(self._failed))
        return {"trained": trained, "hopeless": hopeless, "done": done}

    def _train(self, run: Run) -> None:
        job = self._job
        versions, sets = {**job.versions}, job.data.sets()
        if run.key in job.slices:
            split, part = run.spec.split, job.slices[run.key]
            versions[split], sets[split] = part.key, sets[split].only(part.ids, part.labels)
        train_run(job.storage, run, versions, sets, until=job.until)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: finished runs are in the store."""

    def load_checkpoint(self, checkpoint: Any) -> None:  # noqa: ANN401
        """Nothing to load."""


class _Report(Callback):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._retried = retry_counter()

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
        """Count what the trial has just trained, or say what it could not."""
        self._progress.advance(int(result.get("trained", 0)))
        if result.get("hopeless"):
            self._progress.note(f"run failed: {result['hopeless']}")


def pack(runs: Sequence[Run], rows: Mapping[str, int], slots: int) -> list[tuple[Run, ...]]:
    """Group short runs into trials; a child goes where its parent goes, behind it.

    Args:
        runs: what to train.
        rows: run key to the rows it takes its own from; nothing for imported runs.
        slots: how many trials go on at once.
    """
    families: dict[str, list[Run]] = {}
    for run in runs:
        home = run.parent if run.parent in families else run.key
        families.setdefault(home, []).append(run)
    costs = {home: sum(_seconds(r, rows) for r in family) for home, family in families.items()}
    limit = min(_PACK_SECONDS, sum(costs.values()) / (slots * _TRIALS_PER_SLOT))
    packs: list[list[Run]] = []
    room = 0.0
    for home in sorted(families, key=lambda h: -costs[h]):  # long ones first: no late straggler
        if costs[home] > room:
            packs.append([])
            room = limit
        packs[-1] += families[home]
        room -= costs[home]
    return [tuple(p) for p in packs]


def _seconds(run: Run, rows: Mapping[str, int]) -> float:
    """A rough estimate: only the order and the packing of runs depend on it."""
    spec = run.spec
    if spec.kind == "imported":
        return 1.0
    count = int(rows[run.key] * spec.subset)
    passes = count * spec.recipe.epochs_for(count)
    factor = 3.0 if spec.kind == "private" else 1.0
    return passes * factor * spec.net.width / _PASSES_PER_SECOND


def _slots(resources: Mapping[str, float]) -> int:
    slots = total("CPU") / max(resources["cpu"], 1e-9)
    if resources["gpu"]:
        slots = min(slots, total("GPU") / resources["gpu"])
    return max(1, int(slots))
