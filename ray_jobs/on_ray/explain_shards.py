"""Ray Data maps the shards of test rows to their representer points."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.data import ActorPoolStrategy

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import total
from scoring.data.versions import DatasetVersion
from scoring.errors import IncompleteError
from scoring.representers.explainer import Explainer
from scoring.representers.layer_rows import gathered, node_folder
from scoring.representers.question import Question, explanations
from scoring.run_spec import Representer
from scoring.runs.at_rest import load_layer, targets_of
from scoring.runs.record import load_record
from scoring.staged.features import features_path, read_features
from scoring.store.keys import digest
from scoring.store.storage import Storage
from scoring.tables.explanations import explanations_path, write_explanations

EXPLANATIONS_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExplainJob:
    """What all shards share."""

    storage: Storage
    run: str
    """The representer run."""
    base: str
    """Whose layer it brought to rest."""
    about: Representer
    train: DatasetVersion
    question: Question
    until: float = math.inf
    """Time (seconds since the epoch) after which no shard is begun."""

    def path(self, content: str) -> str:
        """Where the explanations of a shard are staged."""
        key = digest([content, self.question, EXPLANATIONS_VERSION])
        return explanations_path(self.run, key)


def explain_shards(job: ExplainJob, shards: Sequence[str]) -> list[str]:
    """Stage the explanations of shards, by content hash, that are missing.

    Returns:
        Where those of all shards are staged, in order.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    paths = {content: job.path(content) for content in shards}
    there = job.storage.existing(paths.values())
    missing = [content for content, path in paths.items() if path not in there]
    if missing:
        workers = max(1, min(len(missing), int(total("CPU"))))
        receipts = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
            _Explain,  # type: ignore[arg-type] # Ray takes classes; its stub does not
            fn_constructor_args=(job,),
            num_cpus=1,
            compute=ActorPoolStrategy(min_size=1, initial_size=workers, max_size=workers),
        )
        done = 0
        with Progress("explain", len(missing), "shard") as progress:
            for receipt in receipts.iter_rows():
                done += receipt["done"]
                progress.advance(int(receipt["done"]))
        if done < len(missing):
            raise IncompleteError(f"explain: expected {len(missing)} shards, got {done}")
    return list(paths.values())


class _Explain:
    """Holds what is known of the training rows; explains one shard a call."""

    def __init__(self, job: ExplainJob) -> None:
        torch.set_num_threads(1)
        self._job = job
        rest, _ = load_layer(job.storage, load_record(job.storage, job.run))
        # In files, which all workers of a node share.
        rows = gathered(job.storage, job.base, job.about.layer, job.train, memory=0)
        alpha = f"alpha-{digest([job.run, rest.fingerprint])}.npy"
        file = node_folder(job.base, job.about.layer, job.train) / alpha
        targets = targets_of(job.about, rest.loss, rows)
        self._explainer = Explainer(rows, rest, targets, file)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job, content = self._job, row["item"]
        if time.time() >= job.until:
            return {"done": 0}
        path = features_path(job.base, job.about.layer, content)
        staged = job.question.meant(read_features(job.storage, path))
        points = self._explainer.points(
            staged.features, job.question.chosen(staged), job.question.k
        )
        write_explanations(job.storage, job.path(content), explanations(staged, points))
        return {"done": 1}
