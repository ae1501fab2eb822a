"""A trial of Ray Tune, which trains a pack of runs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune

from ray_jobs.jobs.pace import Pace, training_pace
from ray_jobs.on_ray.metering import IsOver
from ray_jobs.on_ray.training_data import TrainingData
from scoring.data.slice import Slice
from scoring.data.training_set import TrainingSet
from scoring.errors import Outage, OutOfTime
from scoring.logs import fit, logger
from scoring.runs.record import Run, finished
from scoring.runs.train_one import train_run
from scoring.store.keys import Split
from scoring.store.outages import known
from scoring.store.storage import Storage

_log = logger(__name__)


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
        rows = {split: len(data) for split, data in sets.items()}
        looked_at = run.spec.looked_at(rows) if record.tallied else 0.0
        return training_pace(record, time.perf_counter() - began, looked_at)

    def cleanup(self) -> None:
        """Let go of the data, so that scratch space is free once no trial of the node needs it."""
        self._sets = {}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: finished runs are in the store."""

    def load_checkpoint(self, checkpoint: Any) -> None:  # noqa: ANN401
        """Load nothing."""
