"""Designs of human studies: which examples are on which screen, and the answers of gold questions.

A design is named by the hash of what it holds, as it was drawn. The page of a study shows images
alone, so that nothing on it tells a gold question from another.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from scoring.store.keys import Split, digest
from scoring.store.layout import STUDIES, original_path, stem, study_path
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage

Question = Literal["best", "worst"]
QUESTIONS: tuple[Question, Question] = ("best", "worst")
_SHOWN_IDS = 5


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Some images, one of which is to be picked."""

    question: Question
    label: int
    """Class that the question is about."""
    shown: tuple[int | None, ...]
    """Example id in each cell; None where the example was forgotten since."""
    gold: int | None = None
    """Cell of the right answer, from 0, where it is known: picks of a gold question only tell
    whether someone paid attention."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Sets of screens, one set for each chooser. The fields are the keys of its JSON."""

    id: str
    dataset: str
    """Name in `scores`."""
    data: str
    """Name of the dataset that the examples belong to."""
    split: Split
    dataset_version: str
    sets: tuple[tuple[Screen, ...], ...]

    def save(self, storage: Storage) -> None:
        """Write the design, unless it is in the store already."""
        if not storage.exists(study_path(self.id)):
            self._write(storage)

    def forget(self, storage: Storage, ids: Collection[int]) -> None:
        """Write the design again, without some examples."""
        replace(
            self, sets=tuple(tuple(_without(s, ids) for s in set_) for set_ in self.sets)
        )._write(storage)

    def shows(self, ids: Collection[int]) -> bool:
        """Return whether some of the examples are on a screen."""
        return any(i in ids for set_ in self.sets for screen in set_ for i in screen.shown)

    def _write(self, storage: Storage) -> None:
        """Write it, and a copy: answers are worth nothing without it."""
        write_twice(storage, study_path(self.id), self)


def new_study(
    *,
    dataset: str,
    data: str,
    split: Split,
    dataset_version: str,
    sets: tuple[tuple[Screen, ...], ...],
) -> Study:
    """Name a design by its hash; the arguments are the fields of `Study`."""
    return Study(
        id=digest([dataset, data, split, dataset_version, sets]),
        dataset=dataset,
        data=data,
        split=split,
        dataset_version=dataset_version,
        sets=sets,
    )


def study_ids(storage: Storage) -> list[str]:
    """List the studies of a store."""
    return sorted({stem(original_path(path)) for path in storage.ours(STUDIES)})


def load_study(storage: Storage, study: str) -> Study:
    """Read the design of a study.

    Raises:
        FileNotFoundError: there is none.
        Damaged: neither it nor its copy is what was written.
    """
    return read_either(storage, study_path(study), Study)


def studies_with(storage: Storage, data: str, split: Split, ids: Collection[int]) -> list[Study]:
    """Read the designs that show some examples of a split."""
    found = in_parallel(partial(load_study, storage), study_ids(storage))
    return [s for s in found if (s.data, s.split) == (data, split) and s.shows(ids)]


def _without(screen: Screen, ids: Collection[int]) -> Screen:
    return replace(screen, shown=tuple(None if i in ids else i for i in screen.shown))
