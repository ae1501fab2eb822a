"""Metrics of what runs added up while they trained, by hand and by a slow loop."""

import numpy as np
import pytest
import torch
from apply_metric import fold, tally

from scoring.metrics import (
    fleet_aum,
    label_margin,
    oob_conf,
    oob_confidence_mean,
    second_split_forgetting,
)
from scoring.score.ranking import rank
from scoring.spec import FoldedMetric, Output, Signal

NAN = np.nan
HIGH = 1 / (1 + np.exp(-2.0))  # of the leading one of two classes whose logits are 2 apart
YES, NO = [1.0, -1.0], [-1.0, 1.0]  # for and against class 0


def output(leads, seen=None, **columns):
    seen = None if seen is None else np.array(seen, dtype=bool)
    return Output(
        logits=torch.tensor(leads), seen=seen, tally=tally(**columns) if columns else None
    )


# Three members and four rows of class 0. The last row came after the training of all of them, the
# third member is of an earlier version. Row 0 was seen by the first member alone, row 2 by all.
FIRST = {"margin": [5, -3, 1, NAN], "probability": [1, 0.25, 0.5, NAN]}
SECOND = {"margin": [-1, 0, 3, NAN], "probability": [0.5, 0.75, 0.5, NAN]}
MEMBERS = [
    output([YES, YES, NO, YES], [1, 0, 1, 0], **FIRST),
    output([NO, YES, NO, NO], [0, 1, 1, 0], **SECOND),
    output([NO, NO, YES, NO], [0, 1, 1, 0]),
]


def test_fleet_aum_is_the_mean_over_all_members_and_their_epochs():
    got = fold(fleet_aum.METRIC, MEMBERS)
    np.testing.assert_allclose(got.value, [2 / 3, -5 / 3, 2, -2 / 3])
    np.testing.assert_allclose(got.spread[:2], [np.std([5, -1, -2]), np.std([-3, 0, -2])])
    assert set(got.status) == {""}


def test_confidence_out_of_bag_is_that_of_members_that_did_not_see_the_row():
    got = fold(oob_confidence_mean.METRIC, MEMBERS)
    np.testing.assert_allclose(
        got.value, [(0.5 + 1 - HIGH) / 2, 0.25, NAN, (HIGH + 2 * (1 - HIGH)) / 3], rtol=1e-6
    )
    np.testing.assert_allclose(got.spread[1], 0)
    assert got.status.tolist() == ["", "", "seen_by_all", ""]


def test_forgetting_is_the_mean_over_the_pairs_that_looked():
    pairs = [
        output([YES] * 4, wrong_since=[1, 4, NAN, NAN]),
        output([YES] * 4, wrong_since=[2, 6, 3, NAN]),
        output([YES] * 4),
    ]
    got = fold(second_split_forgetting.METRIC, pairs)
    np.testing.assert_allclose(got.value, [1.5, 5, 3, NAN])
    np.testing.assert_allclose(got.spread, [0.5, 1, 0, NAN])
    assert got.status.tolist() == ["", "", "", "epochs_unknown"]
    got = fold(second_split_forgetting.METRIC, pairs, labels=[0, -1, 0, -1])
    assert got.status.tolist() == ["", "unlabelled", "", "unlabelled"]


def test_examples_that_are_never_lost_are_ordered_by_the_margin_that_is_left():
    pairs = [
        output([[9.0, 1], [3, 1], [2, 1], [0, 4], [7, 0]], wrong_since=[5, 5, 5, 1, 5]),
        output([[0.0, 9], [1, 0], [4, 0], [0, 2], [7, 0]], wrong_since=[NAN, 5, 5, 1, 5]),
    ]
    got = fold(second_split_forgetting.METRIC, pairs, labels=[0, 0, 0, 0, -1])
    np.testing.assert_allclose(got.value, [5, 5, 5, 1, NAN])
    np.testing.assert_allclose(got.tiebreak, [8, 1.5, 2.5, -3, NAN])  # the first by one pair
    ranked = rank(
        value=got.value,
        label=np.zeros(5, dtype=np.int64),
        example_id=np.arange(5),
        direction="high",
        tiebreak=got.tiebreak,
    )
    assert ranked.rank.tolist() == [3, 1, 2, 0, -1]


@pytest.mark.parametrize("metric", [fleet_aum.METRIC, oob_confidence_mean.METRIC])
def test_no_label_is_the_first_reason(metric):
    got = fold(metric, MEMBERS, labels=[-1, 0, -1, 0])
    assert got.status.tolist() == ["unlabelled", "", "unlabelled", ""]
    assert np.isnan(got.value).tolist() == [True, False, True, False]


def test_models_of_unknown_training_count_for_all_members_but_not_out_of_bag():
    stranger = output([YES] * 4)
    assert (fold(fleet_aum.METRIC, [*MEMBERS, stranger]).value > -1.5).all()
    got = fold(oob_confidence_mean.METRIC, [*MEMBERS, stranger])
    np.testing.assert_array_equal(got.value, fold(oob_confidence_mean.METRIC, MEMBERS).value)
    assert set(fold(oob_confidence_mean.METRIC, [stranger]).status) == {"training_rows_unknown"}


def random_members(rows=40, models=9, classes=4):
    numbers = np.random.default_rng(0)
    outputs = []
    for _ in range(models):
        held = numbers.random(rows) < 0.8
        outputs.append(
            Output(
                logits=torch.from_numpy(3 * numbers.standard_normal((rows, classes))).float(),
                seen=numbers.random(rows) < 0.6,
                tally=tally(
                    probability=np.where(held, numbers.random(rows), NAN),
                    margin=np.where(held, numbers.standard_normal(rows), NAN),
                ),
            )
        )
    return outputs, numbers.integers(0, classes, rows)


def test_a_slow_loop_gives_the_same():
    outputs, labels = random_members()
    margins, outside = [], []
    for row, label in enumerate(labels):
        own, unseen = [], []
        for o in outputs:
            z = o.logits[row].double().numpy()
            p = np.exp(z) / np.exp(z).sum()
            m, q = float(o.tally.margin[row]), float(o.tally.probability[row])
            own.append(z[label] - max(np.delete(z, label)) if np.isnan(m) else m)
            if not o.seen[row]:
                unseen.append(p[label] if np.isnan(q) else q)
        margins.append([np.mean(own), np.std(own)])
        outside.append(np.mean(unseen) if unseen else NAN)
    got = fold(fleet_aum.METRIC, outputs, labels)
    np.testing.assert_allclose([got.value, got.spread], np.transpose(margins), rtol=1e-9)
    got = fold(oob_confidence_mean.METRIC, outputs, labels)
    np.testing.assert_allclose(got.value, outside, rtol=1e-9)


@pytest.mark.parametrize(
    ("metric", "of_finished"),
    [(fleet_aum.METRIC, label_margin.METRIC), (oob_confidence_mean.METRIC, oob_conf.METRIC)],
)
def test_without_epochs_the_finished_nets_are_asked(metric, of_finished):
    outputs, labels = random_members()
    finished = [Output(logits=o.logits, seen=o.seen) for o in outputs]
    got, want = fold(metric, finished, labels), fold(of_finished, outputs, labels)
    np.testing.assert_array_equal(got.value, want.value)


def test_checkpoints_have_no_tally():
    declared = {
        name: getattr(fleet_aum.METRIC, name) for name in ("summary", "purpose", "unit", "source")
    }
    with pytest.raises(TypeError, match="expected finished runs"):
        FoldedMetric(
            name="mine",
            version=1,
            prototypical="high",
            signal=Signal.CHECKPOINTS,
            fold=fleet_aum.METRIC.fold,
            **declared,
        )
