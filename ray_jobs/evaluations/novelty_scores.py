"""Scores of novelty detectors that need no classifier, to compare metrics with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_jobs.engine import engine
from ray_jobs.night.plan import Plan
from scoring.analysis.novelty import DETECTORS, Images
from scoring.arrays import Floats, Ints
from scoring.data.shards import Shard, read_shard
from scoring.data.versions import DatasetVersion
from scoring.staged.scores import read_scores, write_scores
from scoring.store.keys import digest
from scoring.store.layout import staged_path
from scoring.store.storage import Storage

_VERSION = 1  # raise it whenever a detector changes
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class NoveltyJob:
    """Fits detectors to training images and stages their scores of the test images."""

    storage: Storage
    train: DatasetVersion
    test: DatasetVersion
    fit_rows: int

    def path(self, detector: str) -> str:
        """Return where the scores of a detector are staged."""
        key = [detector, _VERSION, _SEED, self.fit_rows, self.train.version, self.test.version]
        return staged_path(f"novelty_{detector}", digest(key))

    def begin(self) -> "NoveltyJob":
        """Return what a worker calls with each detector: this job."""
        return self

    def __call__(self, detector: str) -> None:
        """Fit a detector, score every test shard and stage the scores."""
        score = DETECTORS[detector](self._training(), _SEED)
        ids, values = [], []
        for record in self.test.shards:
            shard = read_shard(self.storage, self.test.name, record, self.test.shape)
            ids.append(shard.ids)
            values.append(np.where(shard.decodable, score(_pixels(shard)), np.nan))
        write_scores(
            self.storage,
            self.path(detector),
            ids=np.concatenate(ids),
            value=np.concatenate(values),
            spread=None,
            tiebreak=None,
            status=np.full(sum(map(len, ids)), ""),
        )

    def _training(self) -> Images:
        """Read the first training images that can be decoded."""
        images: list[Images] = []
        for record in self.train.shards:
            shard = read_shard(self.storage, self.train.name, record, self.train.shape)
            images.append(_pixels(shard)[shard.decodable])
            if sum(map(len, images)) >= self.fit_rows:
                break
        return np.concatenate(images)[: self.fit_rows]


def novelty_scores(
    plan: Plan, detectors: Sequence[str], fit_rows: int
) -> dict[str, tuple[Ints, Floats]]:
    """Score the test split of a night with each detector, unless its scores are staged.

    Args:
        plan: a night whose data is in the store.
        detectors: names in `DETECTORS`.
        fit_rows: number of training images to fit each detector to.

    Returns:
        By detector, ids [N] and scores [N], high = far from the training images.
    """
    storage, versions = plan.request.storage, plan.versions
    job = NoveltyJob(
        storage=storage, train=versions["train"], test=versions["test"], fit_rows=fit_rows
    )
    staged = storage.existing(job.path(detector) for detector in detectors)
    missing = [detector for detector in detectors if job.path(detector) not in staged]
    if missing:
        with engine(plan.request.flags.machine) as cluster:
            cluster.for_each("fit", "detector", job.begin, missing)
    read = {detector: read_scores(storage, job.path(detector)) for detector in detectors}
    return {detector: (scores.ids, scores.value) for detector, scores in read.items()}


def _pixels(shard: Shard) -> Images:
    """Return the images of a shard as rows of pixels in [0, 1]."""
    return shard.inputs.reshape(len(shard.ids), -1).astype(np.float32) / np.float32(255)
