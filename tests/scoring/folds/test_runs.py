"""Runs of several checkpoints, folded one after the other."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from scoring.folds.runs import Runs, mean_over_runs
from scoring.spec import Checkpoint, Output

LABELS = np.zeros(2, dtype=np.int64)


@dataclass(frozen=True)
class Total:
    """The sum of a run's checkpoints."""

    checkpoints: int = 0
    total: float | np.ndarray = 0.0

    def add(self, seen):
        return Total(self.checkpoints + 1, self.total + seen)

    def value(self):
        return self.total


def output(run):
    place = None if run is None else Checkpoint(run=run, epoch=1, epochs=1)
    return Output(logits=torch.zeros(2, 3), checkpoint=place)


def folded(numbers, seen):
    runs = Runs.of(LABELS, Total())
    for number, row in zip(numbers, seen, strict=True):
        runs = runs.add(output(number), np.array(row))
    return runs.closed()


def test_the_value_is_the_mean_over_runs_whatever_their_length():
    runs = folded([0, 0, 0, 1], [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0], [8.0, 1.0]])
    columns = mean_over_runs(runs.values)
    assert columns.value.tolist() == [7.0, 5.0]
    assert columns.spread.tolist() == [1.0, 4.0]
    assert runs.shortest == 1


def test_an_output_that_is_no_checkpoint_is_a_run_of_its_own():
    columns = mean_over_runs(folded([None, None], [[1.0, 2.0], [3.0, 2.0]]).values)
    assert columns.value.tolist() == [2.0, 2.0]
    assert columns.spread.tolist() == [1.0, 0.0]


def test_closing_twice_changes_nothing():
    runs = folded([0, 0], [[1.0, 2.0], [2.0, 3.0]])
    assert runs.closed() is runs


def test_a_row_with_a_status_has_no_value():
    runs = folded([0], [[1.0, 2.0]])
    columns = mean_over_runs(runs.values, np.array(["", "unlabelled"]))
    np.testing.assert_array_equal(columns.value, [1.0, np.nan])
    np.testing.assert_array_equal(columns.spread, [0.0, np.nan])


def test_without_an_output_there_is_no_mean():
    with pytest.raises(ValueError, match="expected outputs of at least one run, got none"):
        mean_over_runs(Runs.of(LABELS, Total()).closed().values)
