"""Evaluates a human study: drops inattentive choosers, then finds where picks stand in rankings."""

import math
from collections.abc import Sequence

import pyarrow as pa

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.study_answers import read_answers
from ray_jobs.terminal.say import say
from ray_jobs.terminal.tables import as_text
from scoring.analysis.human_picks import (
    KINDS,
    chooser_findings,
    counted_images,
    findings,
)
from scoring.analysis.snapshot import take_snapshot
from scoring.analysis.statistics import TENTHS
from scoring.errors import UnknownName, UserError
from scoring.store.mark import check_marked
from scoring.store.storage import Storage
from scoring.tables.findings import Finding


def evaluate_answers(
    store: str, files: Sequence[str], metrics: Sequence[str], gold_right: float, command: str
) -> None:
    """Print Table 1 of Carlini et al. 2019 for some answer files, and publish it.

    Args:
        store: URI of the store with the study.
        files: answer files of all choosers.
        metrics: metrics to compare with; none: all that are published.
        gold_right: share of gold questions that a chooser has to get right.
        command: what the user typed.

    Raises:
        UserError: a file cannot be used, or nobody passes; nothing was published.
    """
    storage = Storage(store)
    storage.check(writable=True)
    check_marked(storage)
    read = read_answers(storage, files)
    snapshot = take_snapshot(store, read.dataset)
    known = sorted(metric for split, metric in snapshot.manifests if split == read.split)
    for metric in metrics:
        if metric not in known:
            raise UnknownName("--metrics", metric, known)
    counted = [a for a in read.answers if a.right / a.gold >= gold_right]
    if not counted:
        raise UserError(
            f"--gold-right: expected a chooser with {gold_right:.0%} of the gold questions right, "
            f"got none of {len(read.answers)}"
        )
    images = counted_images(counted)
    table = []
    for metric in dict.fromkeys(metrics or known):
        table += findings(metric, snapshot.scores(read.split, metric), images)
    found = [*chooser_findings(len(counted), len(read.answers) - len(counted)), *table]
    with evaluating(storage, snapshot.dataset, command) as evaluation:
        say(as_text(_table(table)), end="")
        say(_summary(len(counted), len(read.answers)))
        evaluation.publish(f"study_{read.split}", found)


def _table(found: Sequence[Finding]) -> pa.Table:
    """Arrange findings in rows for each metric and kind of image, tenths in per cent."""
    cells = {(f.subject, f.measure, f.part): f for f in found}
    rows = []
    for subject in dict.fromkeys(f.subject for f in found):
        for kind in KINDS:
            mean = cells[subject, f"{kind}_percentile", "all"]
            in_class = cells[subject, f"{kind}_class_percentile", "all"]
            tenths = {
                str(t + 1): _per_cent(cells[subject, f"{kind}_share", str(t + 1)].value)
                for t in range(TENTHS)
            }
            rows.append(
                {
                    "metric": subject,
                    "images": kind,
                    "count": mean.rows,
                    **tenths,
                    "mean percentile": _rounded(mean.value),
                    "in its class": _rounded(in_class.value),
                }
            )
    return pa.Table.from_pylist(rows)


def _summary(counted: int, all_: int) -> str:
    dropped = f"; {all_ - counted} of {all_} failed the gold questions and do not count"
    return (
        "Per cent of images in each tenth of a metric's ranking, 1 the most outlying: those picked "
        "as the best and the worst of their screens, and all that were shown there\n"
        f"Choosers: {counted}{dropped if counted < all_ else ''}"
    )


def _per_cent(share: float) -> float | None:
    return _rounded(100 * share)


def _rounded(number: float) -> float | None:
    """Return a number with one decimal, None where it is undefined."""
    return None if math.isnan(number) else round(number, 1)
