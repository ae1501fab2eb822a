"""`protoscore study`: do people pick the images that metrics call prototypical or outlying?

    protoscore study --output study                a page to hand out, from disk or a bucket
    protoscore study --import answers-*.json       what people picked, next to every metric

On each screen of the page, people pick the best or the worst of nine images of a class (Carlini et
al. 2019, section 3.2). Gold questions, whose answer is known, are mixed in; people who fail them do
not count. Picks are compared with the scores published now. Findings replace earlier ones, and the
store keeps no answers: import the files of all people each time.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.evaluations.study_table import evaluate_answers
from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import (
    PublishedDataset,
    StoreUri,
    by_default,
    check_import,
)
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.analysis.study_design import Size, draw_sets, read_pool
from scoring.data.images import ImageShape
from scoring.data.studies import Study, new_study
from scoring.errors import UnknownName, UserError
from scoring.report import STUDY_GENERATOR, check_output, local_path, write_study
from scoring.store.keys import Split
from scoring.store.mark import check_marked

_OUTPUT = "study"
_SPLIT: Split = "train"
_SCREENS, _GOLD, _SETS, _SEED = 30, 6, 10, 0
_MOST_SETS, _MOST_SCREENS = 1_000, 1_000
_GOLD_RIGHT = 0.8


@dataclass(frozen=True, kw_only=True)
class StudyFlags:
    """The flags of both uses."""

    answers: Annotated[
        tuple[str, ...] | None, tyro.conf.arg(name="import"), by_default("write a study")
    ] = None
    """Files of answers to evaluate."""
    metrics: Annotated[tuple[str, ...], by_default("all that are published")] = ()
    """--import: metrics to compare with."""
    gold_right: Annotated[float | None, by_default(str(_GOLD_RIGHT))] = None
    """--import: share of the gold questions that a chooser has to get right."""
    output: Annotated[str, by_default(_OUTPUT)] = ""
    """Folder or s3://bucket/prefix: new, empty or an earlier study's, which is replaced."""
    split: Annotated[Split | None, by_default(_SPLIT)] = None
    """Split to show images of."""
    sets: Annotated[int | None, by_default(str(_SETS))] = None
    """Sets of screens. Each chooser gets one at random; index.html#set=3 gives the third."""
    screens: Annotated[int | None, by_default(str(_SCREENS))] = None
    """Screens of a set, half of them for each question."""
    gold: Annotated[int | None, by_default(str(_GOLD))] = None
    """Gold questions among them."""
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
            "--output": self.output or None,
            "--split": self.split,
            "--sets": self.sets,
            "--screens": self.screens,
            "--gold": self.gold,
            "--seed": self.seed,
            "--dataset": self.dataset,
        }
        check_import(self.answers, writing)
        for flag, given in (("--metrics", self.metrics), ("--gold-right", self.gold_right)):
            if not self.answers and given not in ((), None):
                raise UserError(f"{flag}: expected it with --import, got it without")
        if self.gold_right is not None and not 0 <= self.gold_right <= 1:
            raise UserError(f"--gold-right: expected a share in [0, 1], got {self.gold_right}")
        self._check_size()

    def size(self) -> Size:
        """Return how much the study asks for."""
        return Size(
            sets=_SETS if self.sets is None else self.sets,
            screens=_SCREENS if self.screens is None else self.screens,
            gold=_GOLD if self.gold is None else self.gold,
        )

    def _check_size(self) -> None:
        size = self.size()
        if not 1 <= size.sets <= _MOST_SETS:
            raise UserError(f"--sets: expected a number from 1 to {_MOST_SETS}, got {size.sets}")
        if not 4 <= size.screens <= _MOST_SCREENS:
            raise UserError(
                f"--screens: expected a number from 4 to {_MOST_SCREENS}, got {size.screens}"
            )
        if not 2 <= size.gold <= size.screens // 2:
            raise UserError(
                f"--gold: expected a number from 2 to half of the {size.screens} screens, "
                f"got {size.gold}"
            )
        if self.seed is not None and self.seed < 0:
            raise UserError(f"--seed: expected 0 or more, got {self.seed}")


def main(argv: Sequence[str] | None = None) -> int:
    """Write a study, or evaluate the answers to one; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(StudyFlags, args, "protoscore study", __doc__)
    flags.check()
    command = command_line("study", args)
    if flags.answers:
        right = _GOLD_RIGHT if flags.gold_right is None else flags.gold_right
        evaluate_answers(flags.store, flags.answers, flags.metrics, right, command)
    else:
        _write(flags, command)
    return 0


def _write(flags: StudyFlags, command: str) -> None:
    """Draw a study, keep its design in the store, and write its page."""
    output = (flags.output or _OUTPUT).rstrip("/") or "/"
    check_output(output, STUDY_GENERATOR)
    snapshot = take_snapshot(flags.store, flags.dataset)
    split = _choose_split(snapshot, flags.split or _SPLIT)
    snapshot.storage.check(writable=True)
    check_marked(snapshot.storage)
    study, data = _draw(snapshot, split, flags), snapshot.current(split)
    with writing_job(snapshot.storage, "study", command=command, dataset=snapshot.dataset) as lease:
        lease.refuse_old_plans()
        study.save(snapshot.storage)  # before the page: answers need it
        size = write_study(snapshot.storage, study, data, output)
    where = output if "://" in output else local_path(output)
    say(
        f"Study {study.id[:8]} of {snapshot.dataset}, {split}: {len(study.sets)} sets of "
        f"{len(study.sets[0])} screens, {size / 1e6:.1f} MB: open {where}/index.html"
    )
    say("When people have sent their files: protoscore study --import FILE...")


def _choose_split(snapshot: Snapshot, split: Split) -> Split:
    """Check that a split is published, and that it has images."""
    if split not in snapshot.splits:
        raise UnknownName("--split", split, snapshot.splits)
    shape = snapshot.current(split).shape
    if not isinstance(shape, ImageShape):
        raise UserError(f"--dataset: expected a dataset of images, got {shape.plural}")
    return split


def _draw(snapshot: Snapshot, split: Split, flags: StudyFlags) -> Study:
    data = snapshot.current(split)
    return new_study(
        dataset=snapshot.dataset,
        data=data.name,
        split=split,
        dataset_version=data.version,
        sets=draw_sets(read_pool(snapshot, split), flags.size(), flags.seed or _SEED),
    )
