"""Slices: some examples of a split for runs to train on, named by the hash of what they are."""

import hashlib
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Ints
from scoring.store.keys import digest


@dataclass(frozen=True, kw_only=True)
class Slice:
    """K examples of a dataset version, and the labels that they are learnt by."""

    key: str
    """Stands for the version of the split in the name of a run that trains on it."""
    ids: Ints
    """[K] int64, ascending."""
    labels: Ints
    """[K] int64."""


def slice_of(version: str, ids: Ints, labels: Ints) -> Slice:
    """A slice of a dataset version.

    Args:
        version: of the split.
        ids: [K] int64, each once, in any order.
        labels: [K] int64, the class to learn for each.
    """
    order = np.argsort(ids)
    columns = np.stack([ids[order], labels[order]]).astype("<i8")
    content = hashlib.sha256(columns.tobytes()).hexdigest()
    return Slice(key=digest(["slice", version, content]), ids=columns[0], labels=columns[1])
