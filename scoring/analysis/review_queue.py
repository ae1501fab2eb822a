"""From judged labels to a queue to check, and what helps to decide: prototypes and explanations."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from scoring.analysis.review_sample import EDGES, draw, sizes_and_means, strata
from scoring.analysis.score_table import Scores
from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Floats, Ints
from scoring.data.reviews import Check, Queue, Stratum, new_queue
from scoring.data.some_examples import some_identities
from scoring.data.versions import DatasetVersion
from scoring.errors import UserError
from scoring.store.keys import Split
from scoring.tables import Store
from scoring.tables.sql import quoted

PROTOTYPES = 4
"""Prototypes shown of a class."""
STRONGEST = 3
"""Training examples shown for an output, and as many against it."""
DEFAULT_METRICS = ("oob_margin", "label_margin", "aum", "confidence_mean")
"""Metrics to tell prototypes by, best first: margins of the label, out-of-bag where possible."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The N labels of a split that were judged."""

    ids: Ints
    label: Ints
    """[N] class index."""
    suggested: Ints
    """[N] class index."""
    wrong: Floats
    """[N] probability that the label is wrong."""
    dataset_version: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """A training example that is a part of an output."""

    train_id: int
    train_label: int
    output: int
    """Class that the output is of."""
    value: float
    """Its share of the output: above 0 excitatory, below 0 inhibitory."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is shown beside the checks of a queue."""

    metric: str
    """The metric that the prototypes are by."""
    prototypes: Mapping[int, tuple[int, ...]]
    """Class to example ids, the most prototypical first."""
    prototypes_of: DatasetVersion
    """The data that they are of."""
    points: Mapping[int, tuple[Point, ...]]
    """Example id to the points of its given and its suggested class."""
    points_of: Mapping[int, DatasetVersion]
    """The training data that they are of."""


def read_judged(snapshot: Snapshot, split: Split) -> Judged:
    """Read the labels of a split with a probability that they are wrong.

    Raises:
        UserError: there are none.
    """
    table = Store(snapshot.storage.uri).sql(
        "select example_id, label, suggested, wrong, dataset_version from probabilities "
        f"where dataset = {quoted(snapshot.dataset)} and split = {quoted(split)} "
        "and label is not null and suggested is not null and wrong is not null order by example_id"
    )
    if not len(table):
        raise UserError(
            f"--split: expected labels that a night has judged, got none of {snapshot.dataset} "
            f"{split}; run protoscore rescore with metrics that read an ensemble"
        )
    return Judged(
        ids=table["example_id"].to_numpy(),
        label=table["label"].to_numpy().astype(np.int64),
        suggested=table["suggested"].to_numpy().astype(np.int64),
        wrong=table["wrong"].to_numpy(),
        dataset_version=table["dataset_version"][0].as_py(),
    )


def draw_queue(snapshot: Snapshot, split: Split, judged: Judged, checks: int, seed: int) -> Queue:
    """Draw a queue and look up what its examples are; see `review_sample` for the draw."""
    rows = draw(judged.wrong, checks, np.random.default_rng(seed))
    data = snapshot.find_version(split, judged.dataset_version)
    known = some_identities(snapshot.storage, data, judged.ids[rows].tolist())
    of = strata(judged.wrong)
    drawn = tuple(
        Check(
            example_id=example_id,
            example=known[example_id].example,
            name=known[example_id].name,
            label=int(judged.label[row]),
            suggested=int(judged.suggested[row]),
            wrong=float(judged.wrong[row]),
            stratum=int(of[row]),
        )
        for row, example_id in zip(rows.tolist(), judged.ids[rows].tolist(), strict=True)
        if example_id in known
    )
    return new_queue(
        dataset=snapshot.dataset,
        data=data.name,
        split=split,
        dataset_version=judged.dataset_version,
        seed=seed,
        strata=tuple(
            Stratum(start=start, rows=int(size), mean=float(mean))
            for start, size, mean in zip(EDGES, *sizes_and_means(judged.wrong), strict=False)
        ),
        checks=drawn,
    )


def read_context(snapshot: Snapshot, queue: Queue) -> Context:
    """Read what helps to decide on the labels of a queue."""
    split: Split = "train" if "train" in snapshot.splits else queue.split
    known = {m: manifest for (s, m), manifest in snapshot.manifests.items() if s == split}
    metric = next(m for m in (*DEFAULT_METRICS, *sorted(known)) if m in known)
    classes = {c for check in queue.checks for c in (check.label, check.suggested)}
    checked = {check.example_id for check in queue.checks} if split == queue.split else set()
    points, versions = _read_points(snapshot, queue)
    return Context(
        metric=metric,
        prototypes=prototypes(snapshot.scores(split, metric), classes, checked),
        prototypes_of=snapshot.find_version(split, known[metric].dataset_version),
        points=points,
        points_of=versions,
    )


def prototypes(
    scores: Scores, classes: Collection[int], without: Collection[int] = ()
) -> dict[int, tuple[int, ...]]:
    """Return the ids of the most prototypical examples of some classes, the most so first.

    Examples that the nets predict as labelled come before others.

    Args:
        scores: the N rows of a partition.
        classes: class indices.
        without: examples to leave out.
    """
    usable = (scores.rank >= 0) & ~np.isin(scores.ids, [*without])
    found = {}
    for label in sorted(classes):
        rows = np.flatnonzero(usable & (scores.label == label))
        order = np.lexsort((scores.rank[rows], scores.predicted[rows] == label))[::-1]
        found[label] = tuple(scores.ids[rows[order[:PROTOTYPES]]].tolist())
    return found


def _read_points(
    snapshot: Snapshot, queue: Queue
) -> tuple[dict[int, tuple[Point, ...]], dict[int, DatasetVersion]]:
    """Read the strongest points of the given and the suggested class, where they are published."""
    checks = {check.example_id: check for check in queue.checks}
    table = snapshot.explanations(queue.split, STRONGEST)
    table = table.filter(np.isin(table["test_id"].to_numpy(), [*checks]))
    found: dict[int, list[Point]] = {}
    versions: dict[int, str] = {}
    gives_classes = {run: snapshot.gives_classes(run) for run in table["run"].unique().to_pylist()}
    for row in table.to_pylist():
        check = checks[row["test_id"]]
        if gives_classes[row["run"]] and row["class"] in (check.label, check.suggested):
            point = Point(
                train_id=row["train_id"],
                train_label=row["train_label"],
                output=row["class"],
                value=row["value"],
            )
            found.setdefault(check.example_id, []).append(point)
            versions[check.example_id] = row["train_version"]
    data = {version: snapshot.find_version("train", version) for version in {*versions.values()}}
    return (
        {i: tuple(points) for i, points in found.items()},
        {i: data[version] for i, version in versions.items()},
    )
