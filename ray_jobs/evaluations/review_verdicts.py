"""Imports what reviewers decided into `verdicts`, and what that says into `evaluations`."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.review_answers import read_decisions
from ray_jobs.jobs.progress import counted
from ray_jobs.terminal.say import say
from ray_jobs.terminal.tables import as_text
from scoring.analysis.review_findings import Measured, disagreements, findings, measure
from scoring.analysis.review_sample import ABOVE
from scoring.analysis.verdict import CUT
from scoring.data.reviews import Queue
from scoring.data.versions import named_version
from scoring.store.mark import check_marked
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import Finding, finding_of
from scoring.tables.verdicts import Verdict, merged, publish_verdicts, read_verdicts

_SHOWN = 10


def import_verdicts(store: str, files: Sequence[str], command: str) -> None:
    """Add the decisions of some files to `verdicts`, and say what all those on the queue say.

    What is in the table already changes nothing.

    Args:
        store: URI of the store with the queue.
        files: files of decisions on one queue.
        command: what the user typed.

    Raises:
        UserError: a file cannot be used; nothing was published.
    """
    storage = Storage(store)
    storage.check(writable=True)
    check_marked(storage)
    read = read_decisions(storage, files)
    queue = read.queue
    with evaluating(storage, queue.dataset, command) as evaluation:
        before = read_verdicts(storage, queue.dataset, queue.split)
        after = merged(before, read.verdicts)
        if after != before:
            publish_verdicts(storage, queue.dataset, queue.split, after)
        on_queue = [verdict for verdict in after if verdict.queue == queue.id]
        measured = measure(queue, on_queue)
        _say(storage, queue, on_queue, measured, len({*after} - {*before}))
        name, found = f"review_{queue.split}", findings(measured, queue)
        if found != _published(store, queue.dataset, name):
            evaluation.publish(name, found)


def _published(store: str, dataset: str, name: str) -> list[Finding]:
    rows = Store(store).evaluations(dataset, name).to_pylist()
    return [finding_of(row) for row in rows]


def _say(
    storage: Storage, queue: Queue, verdicts: Sequence[Verdict], measured: Measured, new: int
) -> None:
    disagreed = disagreements(verdicts)
    if disagreed:
        say(as_text(_table(storage, queue, disagreed)), end="")
    reviewers = sorted({verdict.reviewer for verdict in verdicts})
    names = ", ".join(reviewers[:_SHOWN]) + (" and others" if len(reviewers) > _SHOWN else "")
    checks = f"{int(measured.checked.sum()):,} of {counted(len(queue.checks), 'check')}"
    say(
        f"Verdicts on queue {queue.id[:8]} of {queue.dataset}, {queue.split}: {new:,} new; "
        f"{checks} decided by {counted(len(reviewers), 'reviewer')} ({names}), who disagree on "
        f"{len(disagreed):,}"
    )
    for line in _summary(measured):
        say(line)


def _summary(measured: Measured) -> Iterable[str]:
    """Yield the estimates in words."""
    above = int(measured.checked[ABOVE:].sum())
    if above:
        p = measured.precision
        yield (
            f"Precision at the cut (wrong >= {CUT:g}): {p.value:.1%}, 90 % interval {p.low:.1%} to "
            f"{p.high:.1%}, from {counted(above, 'check')}; {measured.expected_precision:.1%} was "
            "expected"
        )
    wrong, rows = measured.wrong, int(measured.sizes.sum())
    yield (
        f"Wrong labels: about {wrong.value:,.0f} of {rows:,}, 90 % interval {wrong.low:,.0f} to "
        f"{wrong.high:,.0f}; {measured.expected:,.0f} were expected"
    )
    vague = measured.ambiguous
    yield (
        f"Ambiguous labels, which count as right: about {vague.value:,.0f}, 90 % interval "
        f"{vague.low:,.0f} to {vague.high:,.0f}"
    )
    unchecked = int(measured.sizes[measured.checked == 0].sum())
    if unchecked:
        yield (
            f"{unchecked:,} labels are in strata where no check was made yet, so any number of "
            "them may be wrong"
        )


def _table(storage: Storage, queue: Queue, disagreed: Sequence[Sequence[Verdict]]) -> pa.Table:
    """Arrange disagreements in a row for each verdict."""
    data = named_version(storage, queue.data, queue.split, queue.dataset_version)
    rows = [
        {
            "example_id": verdict.example_id,
            "name": verdict.name,
            "label": data.classes[verdict.label],
            "reviewer": verdict.reviewer,
            "decision": verdict.decision,
            "to": None if verdict.decided_label is None else data.classes[verdict.decided_label],
        }
        for made in disagreed
        for verdict in made
    ]
    return pa.Table.from_pylist(rows)
