"""Publishing what out-of-bag probabilities say of each label: `probabilities` and `issues`.

Staged shards are read twice: for the sample that the model of the noise is fitted to, and to judge
all rows. Besides that sample, only the rows of `issues` are held in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_jobs.night.plan import Plan, ProbabilitiesPlan
from ray_jobs.night.work import ShardWork
from scoring.analysis.guesses import Guesses, joined
from scoring.analysis.label_noise import Judged
from scoring.analysis.verdict import (
    EVALUATION,
    EVIDENCE,
    Estimate,
    Fitted,
    estimate,
    findings,
    fit_noise,
    kinds,
    read_estimates,
    sample_step,
)
from scoring.arrays import Bools, Floats
from scoring.data.shard_parts import read_columns
from scoring.errors import IncompleteError
from scoring.folds.probabilities import PROBABILITIES, views_of
from scoring.staged.probabilities import padded_lists, read_probabilities
from scoring.staged.scores import read_scores
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import staged_path
from scoring.store.parallel import in_parallel
from scoring.tables import Store
from scoring.tables.findings import publish_evaluation
from scoring.tables.issues import publish_issues
from scoring.tables.probabilities import ShardProbabilities, publish_probabilities


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """A shard of N rows, M of which can be judged."""

    work: ShardWork
    staged: pa.Table
    labels: pa.ChunkedArray
    """[N]."""
    known: Bools
    """[N] whether a row has a label and probabilities."""
    guesses: Guesses
    """[M]."""


@dataclass
class _Judged:
    """What was judged so far."""

    wrong: list[Floats] = field(default_factory=list)
    issues: list[pa.Table] = field(default_factory=list)


def publish_verdict(plan: Plan, of: ProbabilitiesPlan) -> Estimate | None:
    """Judge the labels of a split, and replace its partitions of `probabilities` and `issues`.

    Returns:
        How many labels are wrong; None if none could be judged.

    Raises:
        IncompleteError: what is staged does not belong to the dataset.
    """
    storage, dataset = plan.request.storage, plan.request.publish_as
    version, classes = plan.versions[of.split].version, len(plan.situation.layout.classes)
    work = [item for item in plan.work if item.split == of.split]
    sample = _sample(plan, work)
    fitted = fit_noise(sample, classes) if classes > 1 and len(sample.labels) else None
    judged = _Judged()
    shards = (_judge(plan, shard, fitted, judged) for shard in _shards(plan, work))
    publish_probabilities(storage, dataset, of.split, of.key, shards, version)
    publish_issues(storage, dataset, of.split, of.key, judged.issues, version)
    return estimate(fitted, np.concatenate(judged.wrong), len(sample.labels)) if fitted else None


def publish_estimates(plan: Plan, judged: Mapping[Split, Estimate | None], command: str) -> None:
    """Replace the estimates of the splits that were judged; those of other splits stay."""
    storage, dataset = plan.request.storage, plan.request.publish_as
    earlier = read_estimates(Store(storage.uri).evaluations(dataset, EVALUATION))
    now = {split: judged.get(split, earlier.get(split)) for split in SPLITS}
    found = [row for split, e in now.items() if e for row in findings(split, e)]
    publish_evaluation(storage, dataset, EVALUATION, found, command)


def _shards(plan: Plan, work: Sequence[ShardWork]) -> Iterator[_Shard]:
    """Read what is staged."""
    storage, dataset = plan.request.storage, plan.request.source.name
    views = views_of(len(plan.situation.layout.classes))

    def read(item: ShardWork) -> _Shard:
        rows = read_columns(storage, dataset, item.record, ("example_id", "label"))
        path = staged_path(PROBABILITIES.name, item.key(PROBABILITIES.name))
        staged = read_probabilities(storage, path)
        if not staged["example_id"].equals(rows["example_id"]):
            raise IncompleteError(f"{path}: expected the ids of {item.record.path(dataset)}")
        labels = rows["label"]
        known = pc.and_(labels.is_valid(), staged["probabilities"].is_valid()).to_numpy()
        judged = staged.filter(known)
        guesses = Guesses(
            labels=labels.filter(known).to_numpy().astype(np.int64),
            classes=padded_lists(judged)[0],
            views=tuple(padded_lists(judged, name)[1] for name in views),
        )
        return _Shard(work=item, staged=staged, labels=labels, known=known, guesses=guesses)

    return in_parallel(read, work)


def _sample(plan: Plan, work: Sequence[ShardWork]) -> Guesses:
    """Read every k-th row that can be judged."""
    step = sample_step(sum(item.record.rows for item in work))
    parts, at = [], 0
    for shard in _shards(plan, work):
        rows = np.arange(len(shard.guesses.labels))
        parts.append(shard.guesses.take((at + rows) % step == 0))
        at += len(rows)
    return joined(parts)


def _judge(plan: Plan, shard: _Shard, fitted: Fitted | None, judged: _Judged) -> ShardProbabilities:
    """Judge a shard; keep its issues."""
    rows = len(shard.staged)
    wrong, suggested = np.full(rows, np.nan), np.full(rows, -1)
    if fitted:
        verdict = fitted.model.judge(shard.guesses)
        wrong[shard.known], suggested[shard.known] = verdict.wrong, verdict.suggested
        judged.wrong.append(verdict.wrong)
        judged.issues.append(_issues(plan, shard, verdict))
    return ShardProbabilities(
        staged=shard.staged,
        labels=shard.labels,
        wrong=pa.array(wrong, mask=np.isnan(wrong)),
        suggested=pa.array(suggested, pa.int32(), mask=suggested < 0),
    )


def _issues(plan: Plan, shard: _Shard, verdict: Judged) -> pa.Table:
    """Return the rows of `issues` that a shard has, without their ranks."""
    storage, dataset = plan.request.storage, plan.request.source.name
    guesses, item = shard.guesses, shard.work
    evidence = {name: np.full(len(guesses.labels), np.nan) for name in EVIDENCE}
    for metric in plan.request.metrics:
        if metric.name in evidence:
            path = staged_path(metric.name, item.key(metric.name))
            evidence[metric.name] = read_scores(storage, path).value[shard.known]
    of_label = guesses.of(guesses.labels)
    kind = kinds(verdict, of_label, evidence["memorisation"])
    found = np.flatnonzero(kind != "")
    staged = shard.staged.filter(shard.known).take(found)
    names = read_columns(storage, dataset, item.record, ("name",))["name"]
    return pa.table(
        {
            "example_id": staged["example_id"],
            "name": names.filter(shard.known).take(found),
            "label": guesses.labels[found],
            "suggested": verdict.suggested[found],
            "wrong": verdict.wrong[found],
            "kind": kind[found],
            "label_probability": of_label[found],
            "suggested_probability": guesses.of(verdict.suggested)[found],
            "models": staged["value"],
            **{name: pa.array(v[found], from_pandas=True) for name, v in evidence.items()},
        }
    )
