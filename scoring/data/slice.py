"""Slices: some examples of a split for runs to train on, named by the hash of their content."""

import hashlib
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Ints
from scoring.store.keys import digest


@dataclass(frozen=True, kw_only=True)
class Slice:
    """K examples of a dataset version, with the labels to train on."""

    key: str
    """Takes the place of the split's version in the key of a run that trains on the slice."""
    ids: Ints
    """[K] int64, ascending."""
    labels: Ints
    """[K] int64."""


def make_slice(version: str, ids: Ints, labels: Ints) -> Slice:
    """Make a slice of a dataset version.

    Args:
        version: version of the split.
        ids: [K] int64, each once, in any order.
        labels: [K] int64, the class to learn for each id.
    """
    order = np.argsort(ids)
    columns = np.stack([ids[order], labels[order]]).astype("<i8")
    content = hashlib.sha256(columns.tobytes()).hexdigest()
    return Slice(key=digest(["slice", version, content]), ids=columns[0], labels=columns[1])
