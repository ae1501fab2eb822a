"""Novelty detectors on the cluster: one task fits a detector and scores every test shard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_jobs.jobs.progress import Progress
from ray_jobs.night.plan import Plan
from scoring.analysis.novelty import DETECTORS, Images
from scoring.arrays import Floats, Ints
from scoring.data.shards import Shard, read_shard
from scoring.data.versions import DatasetVersion
from scoring.staged.scores import read_scores, staged_path, write_scores
from scoring.store.keys import digest
from scoring.store.storage import Storage

_VERSION = 1  # raise it whenever a detector changes
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class _Task:
    """Fit one detector, score, stage."""

    storage: Storage
    train: DatasetVersion
    test: DatasetVersion
    fit_rows: int

    def path(self, detector: str) -> str:
        """Where the scores are staged."""
        made_of = [detector, _VERSION, _SEED, self.fit_rows, self.train.version, self.test.version]
        return staged_path(f"novelty_{detector}", digest(made_of))

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        score = DETECTORS[row["item"]](self._training(), _SEED)
        ids, values = [], []
        for record in self.test.shards:
            shard = read_shard(self.storage, self.test.name, record, self.test.shape)
            ids.append(shard.ids)
            values.append(np.where(shard.decodable, score(_pixels(shard)), np.nan))
        write_scores(
            self.storage,
            self.path(row["item"]),
            ids=np.concatenate(ids),
            value=np.concatenate(values),
            spread=None,
            tiebreak=None,
            status=np.full(sum(map(len, ids)), ""),
        )
        return row

    def _training(self) -> Images:
        """The first training images that decode."""
        found: list[Images] = []
        for record in self.train.shards:
            shard = read_shard(self.storage, self.train.name, record, self.train.shape)
            found.append(_pixels(shard)[shard.decodable])
            if sum(map(len, found)) >= self.fit_rows:
                break
        return np.concatenate(found)[: self.fit_rows]


def novelty_scores(
    night: Plan, detectors: Sequence[str], fit_rows: int
) -> dict[str, tuple[Ints, Floats]]:
    """Scores of a night's test split by each detector, made where they are not staged.

    Args:
        night: its data is in the store.
        detectors: names of `DETECTORS`.
        fit_rows: training images that each is fitted to.

    Returns:
        Detector to ids [N] and scores [N], high = far from the training images.
    """
    storage = night.asked.storage
    task = _Task(
        storage=storage,
        train=night.versions["train"],
        test=night.versions["test"],
        fit_rows=fit_rows,
    )
    there = storage.existing(task.path(detector) for detector in detectors)
    missing = [detector for detector in detectors if task.path(detector) not in there]
    if missing:
        _make(task, missing, night)
    staged = {detector: read_scores(storage, task.path(detector)) for detector in detectors}
    return {detector: (scores.ids, scores.value) for detector, scores in staged.items()}


def _make(task: _Task, missing: Sequence[str], night: Plan) -> None:
    import ray

    from ray_jobs.on_ray.cluster import cluster

    machine = night.asked.flags.machine
    with (
        cluster(machine.address, machine.cpus),
        Progress("fit", len(missing), "detector") as progress,
    ):
        rows = ray.data.from_items(list(missing), override_num_blocks=len(missing))
        for _ in rows.map(task).iter_rows():
            progress.advance()


def _pixels(shard: Shard) -> Images:
    return shard.inputs.reshape(len(shard.ids), -1).astype(np.float32) / np.float32(255)
