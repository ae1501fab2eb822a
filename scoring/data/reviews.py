"""Designs of label reviews: which examples to check, drawn from which strata.

A queue is named by the hash of what it holds, as it was drawn. It says what reviewers were shown,
and what their decisions are a sample of.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from scoring.store.keys import Split, digest
from scoring.store.layout import REVIEWS, original_path, review_path, stem
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage

Decision = Literal["keep", "relabel", "ambiguous", "exclude", "skip"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Examples whose label is wrong with a probability in some range."""

    start: float
    """The least probability."""
    rows: int
    """Examples of the split in it."""
    mean: float
    """Their mean probability."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """An example whose label is to be checked."""

    example_id: int
    example: str
    """`example_hash` of the image or text."""
    name: str | None
    """The user's own name for it."""
    label: int
    """Class index, as the models were given it."""
    suggested: int
    """Class index that fits best."""
    wrong: float
    """Probability that the label is wrong."""
    stratum: int
    """Index of its stratum."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Checks in the order in which to make them. The fields are the keys of its JSON."""

    id: str
    dataset: str
    """Name in `scores`."""
    data: str
    """Name of the dataset that the examples belong to."""
    split: Split
    dataset_version: str
    seed: int
    strata: tuple[Stratum, ...]
    """By ascending probability; as drawn, even if examples were forgotten since."""
    checks: tuple[Check, ...]

    def save(self, storage: Storage) -> None:
        """Write the design, unless it is in the store already."""
        if not storage.exists(review_path(self.id)):
            self._write(storage)

    def forget(self, storage: Storage, ids: Collection[int]) -> None:
        """Write the design again, without some examples."""
        left = tuple(check for check in self.checks if check.example_id not in ids)
        replace(self, checks=left)._write(storage)

    def holds(self, ids: Collection[int]) -> bool:
        """Return whether some of the examples are in the queue."""
        return any(check.example_id in ids for check in self.checks)

    def _write(self, storage: Storage) -> None:
        """Write it, and a copy: decisions measure nothing without it."""
        write_twice(storage, review_path(self.id), self)


def new_queue(
    *,
    dataset: str,
    data: str,
    split: Split,
    dataset_version: str,
    seed: int,
    strata: tuple[Stratum, ...],
    checks: tuple[Check, ...],
) -> Queue:
    """Name a queue by its hash; the arguments are the fields of `Queue`."""
    return Queue(
        id=digest([dataset, data, split, dataset_version, seed, strata, checks]),
        dataset=dataset,
        data=data,
        split=split,
        dataset_version=dataset_version,
        seed=seed,
        strata=strata,
        checks=checks,
    )


def queue_ids(storage: Storage) -> list[str]:
    """List the queues of a store."""
    return sorted({stem(original_path(path)) for path in storage.ours(REVIEWS)})


def load_queue(storage: Storage, queue: str) -> Queue:
    """Read the design of a queue.

    Raises:
        FileNotFoundError: there is none.
        Damaged: neither it nor its copy is what was written.
    """
    return read_either(storage, review_path(queue), Queue)


def queues_with(storage: Storage, data: str, split: Split, ids: Collection[int]) -> list[Queue]:
    """Read the queues that hold some examples of a split."""
    found = in_parallel(partial(load_queue, storage), queue_ids(storage))
    return [q for q in found if (q.data, q.split) == (data, split) and q.holds(ids)]
