"""Corrections: labels that a store uses instead of the source's, which is never touched.

A correction gives an example another class, or excludes it: then no run trains on it and no ranking
counts it. It is about one example, known by its id and its bytes. If other bytes come to stand
under the id, it no longer applies.

Each job that changes corrections leaves a record of what it changed. The records of a dataset in
order, a later one over an earlier one, say which corrections are in force.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import NamedTuple, TypeVar

import numpy as np

from scoring.arrays import Ints
from scoring.data.forgotten import example_hash
from scoring.data.sources import Layout, Rows
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import corrections_folder, corrections_path
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage

NO_CLASS = -1


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What one example's label is to be: a class, none because it is excluded, or as given."""

    split: Split
    example_id: int
    example: str
    """`example_hash` of the example that it is about."""
    label: str | None = None
    """Name of the class; None: see `excluded`."""
    excluded: bool = False
    """Without a label, whether the example is excluded; if not, its label is the source's again."""

    @property
    def withdrawn(self) -> bool:
        """Whether the label is the source's again."""
        return self.label is None and not self.excluded

    def withdraw(self) -> "Correction":
        """Return what gives the example the source's label again."""
        return replace(self, label=None, excluded=False)


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What one job changed of a dataset's corrections. The fields are the keys of its JSON."""

    made_at: str
    """ISO 8601 in UTC."""
    origin: str
    """Where the changes came from, such as the name of a file."""
    changes: tuple[Correction, ...]
    number: int
    """How many records there were before it: clocks of machines differ."""


class Overlaid(NamedTuple):
    """A row of a shard whose label is not the source's; -1 where there is none."""

    example_id: int
    given: int
    """Class index in the source."""
    label: int
    """Class index instead; -1: excluded."""


OfExample = TypeVar("OfExample", Correction, Overlaid)
InForce = Mapping[Split, Sequence[Correction]]
"""Split to the corrections in force, by ascending id."""


def amend(
    storage: Storage,
    dataset: str,
    changes: Sequence[Correction],
    *,
    job: str,
    origin: str,
    made_at: str,
) -> None:
    """Record changes, which are in force from then on; for arguments see `Amendment`."""
    number = len(_amendments(storage, dataset))
    made = Amendment(made_at=made_at, origin=origin, changes=tuple(changes), number=number)
    write_twice(storage, corrections_path(dataset, job), made)


def in_force(storage: Storage, dataset: str, changes: Iterable[Correction] = ()) -> InForce:
    """Return the corrections of a dataset that are in force.

    Args:
        storage: the store.
        dataset: the dataset's name in it.
        changes: what is to change next.

    Raises:
        Damaged: a record, and its copy, is not what was written.
    """
    latest: dict[Split, dict[int, Correction]] = {split: {} for split in SPLITS}
    records = (amendment.changes for amendment in _amendments(storage, dataset).values())
    for correction in (*(c for made in records for c in made), *changes):
        latest[correction.split][correction.example_id] = correction
    return {
        split: [c for _, c in sorted(of_split.items()) if not c.withdrawn]
        for split, of_split in latest.items()
    }


def pending(storage: Storage, dataset: str, changes: Iterable[Correction]) -> list[Correction]:
    """Return those of some changes that are not in force yet."""
    now = {(c.split, c.example_id): c for of in in_force(storage, dataset).values() for c in of}
    return [c for c in changes if c != now.get((c.split, c.example_id), c.withdraw())]


def drop_forgotten(storage: Storage, dataset: str, split: Split, ids: Iterable[int]) -> list[str]:
    """Take forgotten examples out of all records; return the paths of those that named one."""
    gone, rewritten = {*ids}, []
    for job, amendment in _amendments(storage, dataset).items():
        kept = tuple(c for c in amendment.changes if c.split != split or c.example_id not in gone)
        if kept != amendment.changes:
            rewritten.append(corrections_path(dataset, job))
            left = replace(amendment, changes=kept)
            write_twice(storage, corrections_path(dataset, job), left)
    return rewritten


def _amendments(storage: Storage, dataset: str) -> dict[str, Amendment]:
    """Read all records of a dataset, by job, in order."""
    names = storage.names(corrections_folder(dataset))
    jobs = sorted({name.partition(".")[0] for name in names} - {""})
    paths = [corrections_path(dataset, job) for job in jobs]
    read = in_parallel(partial(read_either, storage, kind=Amendment), paths)
    found = zip(jobs, read, strict=True)
    return dict(sorted(found, key=lambda item: (item[1].number, item[0])))


def given_labels(overlaid: Sequence[Overlaid], ids: Ints) -> Ints:
    """Return the source's class of examples [N] whose label is another; -1 for all others."""
    given = {row.example_id: row.given for row in overlaid}
    if not given:
        return np.full(len(ids), NO_CLASS, dtype=np.int64)
    return np.array([given.get(i, NO_CLASS) for i in ids.tolist()], dtype=np.int64)


def within(of_examples: Sequence[OfExample], first: int, rows: int) -> tuple[OfExample, ...]:
    """Return what is about ids in [first, first + rows), from what is sorted by id."""
    by_id = attrgetter("example_id")
    begin, end = (bisect_left(of_examples, i, key=by_id) for i in (first, first + rows))
    return tuple(of_examples[begin:end])


def overlay(
    corrections: Sequence[Correction], layout: Layout, rows: Rows, labels: Ints, first_id: int
) -> tuple[Overlaid, ...]:
    """Return the rows whose label is not the source's.

    Args:
        corrections: those with ids among the rows.
        layout: the class names.
        rows: [N] rows of a piece.
        labels: [N] class indices that the source gives, -1 where unknown.
        first_id: example id of the first row.
    """
    changed = []
    for correction in corrections:
        row = correction.example_id - first_id
        given = int(labels[row])
        label = NO_CLASS if correction.label is None else layout.classes.index(correction.label)
        same = correction.example == example_hash(rows.data(row) or b"")
        if same and (correction.excluded or label != given):
            changed.append(Overlaid(correction.example_id, given, label))
    return tuple(changed)
