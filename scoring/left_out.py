"""The rows that an ensemble member does not train on, as a function of the example id.

A round of k members is a k-fold cross-validation: member j of the round leaves out the examples of
fold j, so each example is left out by exactly one member of every round. Who saw what is therefore
known without storing it.

    fold(id) = splitmix64(key, id) mod k        key = the first 64 bits of digest([seed, "fold", r])

`splitmix64(key, n)` is number n of the sequence that SplitMix64 gives from the state `key`
(Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from dataclasses import dataclass

import numpy as np

from scoring.arrays import Bools, Ints
from scoring.store.keys import digest

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)
_KEY_DIGITS = 16  # hex digits of 64 bits


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One fold of a round. Field names are part of keys, so they never change."""

    seed: int
    """Seed of the fleet, shared by all its rounds."""
    round: int
    """From 0; each round cuts the examples anew."""
    fold: int
    """The fold that is left out, from 0."""
    folds: int
    """How many folds the round has, 2 or more."""

    @property
    def share(self) -> float:
        """Share of the examples that is left out, on average."""
        return 1 / self.folds

    def holds(self, ids: Ints) -> Bools:
        """Return whether each example is left out.

        Args:
            ids: [N] int64 example ids.
        """
        held: Bools = folds_of(ids, self.seed, self.round, self.folds) == self.fold
        return held


def folds_of(ids: Ints, seed: int, number: int, folds: int) -> Ints:
    """Return the fold of each example, [N] int64 from 0.

    Args:
        ids: [N] int64 example ids.
        seed: seed of the fleet.
        number: the round, from 0.
        folds: how many folds there are.
    """
    key = np.uint64(int(digest([seed, "fold", number])[:_KEY_DIGITS], 16))
    return (_splitmix64(key, ids) % np.uint64(folds)).astype(np.int64)


def _splitmix64(
    key: np.uint64, positions: Ints
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """Return the numbers at `positions`, from 0, of the sequence from state `key`, modulo 2^64."""
    mixed = key + (positions.astype(np.uint64) + np.uint64(1)) * _GAMMA
    for shift, factor in _MIXERS:
        mixed = (mixed ^ (mixed >> shift)) * factor
    return mixed ^ (mixed >> _LAST_SHIFT)
