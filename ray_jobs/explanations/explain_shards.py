"""Explaining shard by shard: stage the representer points of each shard's examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ray_jobs.engine import Engine
from scoring.data.versions import DatasetVersion
from scoring.representers.explainer import Explainer
from scoring.representers.layer_rows import gather_rows
from scoring.representers.question import Question, explanations
from scoring.run_spec import Representer
from scoring.runs.at_rest import load_layer, targets_of
from scoring.runs.record import load_record
from scoring.staged.features import read_features
from scoring.store.keys import digest
from scoring.store.layout import explanations_path, features_path
from scoring.store.scratch import Scratch
from scoring.store.storage import Storage
from scoring.tables.explanations import write_explanations

EXPLANATIONS_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExplainJob:
    """What all shards share."""

    storage: Storage
    run: str
    """The representer run."""
    base: str
    """The run whose layer it brought to rest."""
    representer: Representer
    train: DatasetVersion
    question: Question
    scratch: str = ""
    """The folder that --scratch names."""

    def path(self, content: str) -> str:
        """Return where the explanations of a shard are staged."""
        key = digest([content, self.question, EXPLANATIONS_VERSION])
        return explanations_path(self.run, key)

    def missing(self, shards: Sequence[str]) -> list[str]:
        """Return the shards, by content hash, whose explanations are not staged."""
        staged = self.storage.existing(self.path(content) for content in shards)
        return [content for content in shards if self.path(content) not in staged]


def explain_shards(engine: Engine, job: ExplainJob, shards: Sequence[str]) -> None:
    """Stage the missing explanations of shards, given by content hash.

    Raises:
        IncompleteError: some shards could not be done. What is staged stays.
    """
    engine.for_each("explain", "shard", partial(_Explain, job), job.missing(shards))


class _Explain:
    """Holds the training rows; explains one shard per call."""

    def __init__(self, job: ExplainJob) -> None:
        self._job = job
        rest, _ = load_layer(job.storage, load_record(job.storage, job.run))
        layer = job.representer.layer
        # memory=0 puts them in files, which all workers of a node share.
        rows = gather_rows(job.storage, job.base, layer, job.train, 0, job.scratch)
        key = digest([job.run, rest.fingerprint, job.train.version])
        take = partial(Scratch(job.scratch).take, "alpha", key)
        targets = targets_of(job.representer, rest.loss, rows)
        self._explainer = Explainer(rows, rest, targets, take)

    def __call__(self, content: str) -> None:
        job = self._job
        path = features_path(job.base, job.representer.layer, content)
        staged = job.question.select_rows(read_features(job.storage, path))
        points = self._explainer.points(
            staged.features, job.question.select_outputs(staged), job.question.k
        )
        write_explanations(job.storage, job.path(content), explanations(staged, points))
