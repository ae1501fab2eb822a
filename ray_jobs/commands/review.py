"""`protoscore review`: people check labels, which says how many of all are wrong.

    protoscore review --output review              a page to check labels on, from disk or a bucket
    protoscore review --import review-*.json       what they decided: table verdicts, and a count
    protoscore rescore ... --apply-verdicts        mend the labels

The labels to check are drawn at random from strata of the probability that a label is wrong: most
where it is likely, some where it is not. So they also measure how many labels are wrong, and how
many of those that are probably wrong, each with a 90 % interval. The order is random too: a part
of the checks measures as well, only less precisely. Verdicts stay in the store, so a file can be
imported again when there is more in it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ray_jobs.evaluations.review_verdicts import import_verdicts
from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import (
    PublishedDataset,
    StoreUri,
    by_default,
    check_import,
)
from scoring.analysis.review_queue import draw_queue, read_context, read_judged
from scoring.analysis.review_sample import ABOVE
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.data.reviews import Queue
from scoring.errors import UnknownName, UserError
from scoring.exports import write_label_studio
from scoring.report import REVIEW_GENERATOR, check_output, local_path, write_review
from scoring.store.keys import Split
from scoring.store.mark import check_marked
from scoring.store.whole_files import check_writable

_OUTPUT = {"page": "review", "label-studio": "tasks.json"}
_SPLIT: Split = "train"
_CHECKS, _MOST_CHECKS, _SEED = 200, 10_000, 0


@dataclass(frozen=True, kw_only=True)
class ReviewFlags:
    """The flags of both uses."""

    decisions: Annotated[
        tuple[str, ...] | None, tyro.conf.arg(name="import"), by_default("draw labels to check")
    ] = None
    """Files of decisions: of the page, or Label Studio's JSON export."""
    to: Annotated[Literal["page", "label-studio"] | None, by_default("page")] = None
    """page: a page of our own. label-studio: tasks to import there, with the labeling interface."""
    output: Annotated[str, by_default(f"{_OUTPUT['page']}, or {_OUTPUT['label-studio']}")] = ""
    """Folder or s3://bucket/prefix: new, empty or an earlier review's, which is replaced. For Label
    Studio, a file."""
    split: Annotated[Split | None, by_default(_SPLIT)] = None
    """Split to check."""
    checks: Annotated[int | None, by_default(str(_CHECKS))] = None
    """Labels to check."""
    seed: Annotated[int | None, by_default(str(_SEED))] = None
    """Seed of the draw."""
    dataset: PublishedDataset = None
    store: StoreUri = field(default_factory=default_store)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        writing = {
            "--to": self.to,
            "--output": self.output or None,
            "--split": self.split,
            "--checks": self.checks,
            "--seed": self.seed,
            "--dataset": self.dataset,
        }
        check_import(self.decisions, writing)
        if self.checks is not None and not 1 <= self.checks <= _MOST_CHECKS:
            raise UserError(
                f"--checks: expected a number from 1 to {_MOST_CHECKS}, got {self.checks}"
            )
        if self.seed is not None and self.seed < 0:
            raise UserError(f"--seed: expected 0 or more, got {self.seed}")

    @property
    def target(self) -> str:
        """Where to write."""
        return (self.output or _OUTPUT[self.to or "page"]).rstrip("/") or "/"


def main(argv: Sequence[str] | None = None) -> int:
    """Draw labels to check, or import what was decided; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(ReviewFlags, args, "protoscore review", __doc__)
    flags.check()
    command = command_line("review", args)
    if flags.decisions:
        import_verdicts(flags.store, flags.decisions, command)
    else:
        _write(flags, command)
    return 0


def _write(flags: ReviewFlags, command: str) -> None:
    """Draw a queue, keep its design in the store, and write it for reviewers."""
    if flags.to == "label-studio":
        _check_file(flags.target)
    else:
        check_output(flags.target, REVIEW_GENERATOR)
    snapshot = take_snapshot(flags.store, flags.dataset)
    split = flags.split or _SPLIT
    if split not in snapshot.splits:
        raise UnknownName("--split", split, snapshot.splits)
    snapshot.storage.check(writable=True)
    check_marked(snapshot.storage)
    judged = read_judged(snapshot, split)
    checks = _CHECKS if flags.checks is None else flags.checks
    queue = draw_queue(snapshot, split, judged, checks, flags.seed or _SEED)
    with writing_job(
        snapshot.storage, "review", command=command, dataset=snapshot.dataset
    ) as lease:
        lease.refuse_old_plans()
        queue.save(snapshot.storage)  # before the page: decisions need it
        where = _write_page(snapshot, queue, flags)
    above = sum(check.stratum >= ABOVE for check in queue.checks)
    say(
        f"Queue {queue.id[:8]} of {queue.dataset}, {split}: {len(queue.checks):,} of "
        f"{len(judged.ids):,} labels to check, {above:,} of them probably wrong: {where}"
    )
    say("When people have sent their files: protoscore review --import FILE...")


def _write_page(snapshot: Snapshot, queue: Queue, flags: ReviewFlags) -> str:
    """Write what reviewers work on; return what to do with it."""
    data = snapshot.find_version(queue.split, queue.dataset_version)
    if flags.to == "label-studio":
        interface = write_label_studio(snapshot.storage, queue, data, Path(flags.target))
        return (
            f"set up a project with the labeling interface of {interface} and import {flags.target}"
        )
    write_review(snapshot.storage, queue, data, read_context(snapshot, queue), flags.target)
    where = flags.target if "://" in flags.target else local_path(flags.target)
    return f"open {where}/index.html"


def _check_file(target: str) -> None:
    """Refuse a file that cannot be written.

    Raises:
        UserError: naming the flag.
    """
    path = Path(target)
    if "://" in target or path.suffix != ".json" or path.is_dir():
        raise UserError(f"--output: expected a local file ending in .json, got {target!r}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--output: expected a file in a folder that exists, got {target!r}")
    check_writable(path.absolute().parent, "--output", target)
