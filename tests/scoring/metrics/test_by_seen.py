"""Out-of-bag scores and memorisation, by hand and by a slow loop."""

import numpy as np
import pytest
import torch
from apply_metric import fold, output_rows

from scoring.metrics import memorisation, oob_conf, oob_margin
from scoring.spec import FoldedMetric, Output, Signal

# Logits of two classes 2 apart give the leading one this probability.
HIGH = 1 / (1 + np.exp(-2.0))
LOW = 1 - HIGH
YES, NO = [1.0, -1.0], [-1.0, 1.0]  # for and against class 0


def output(leads, seen):
    seen = None if seen is None else np.array(seen, dtype=bool)
    return Output(logits=torch.tensor(leads), seen=seen)


# Three models, four rows of class 0: seen by one, by two, by all and by none.
RUNS = [
    output([YES, YES, YES, NO], [1, 1, 1, 0]),
    output([NO, YES, NO, NO], [0, 1, 1, 0]),
    output([YES, NO, NO, YES], [0, 0, 1, 0]),
]


def test_the_margin_out_of_bag_is_that_of_models_that_did_not_see_the_row():
    got = fold(oob_margin.METRIC, RUNS)
    np.testing.assert_allclose(got.value, [0, -2, np.nan, -2 / 3])
    np.testing.assert_allclose(got.spread, [2, 0, np.nan, np.std([-2, -2, 2])])
    assert got.status.tolist() == ["", "", "seen_by_all", ""]


def test_the_confidence_out_of_bag_is_a_probability():
    got = fold(oob_conf.METRIC, RUNS)
    np.testing.assert_allclose(got.value, [0.5, LOW, np.nan, (HIGH + 2 * LOW) / 3], rtol=1e-6)
    np.testing.assert_allclose(got.spread[:2], [HIGH - 0.5, 0], atol=1e-7)
    assert got.status.tolist() == ["", "", "seen_by_all", ""]


def test_memorisation_is_what_seeing_the_row_adds():
    got = fold(memorisation.METRIC, RUNS)
    np.testing.assert_allclose(got.value, [HIGH - 0.5, HIGH - LOW, np.nan, np.nan], rtol=1e-6)
    assert got.spread is None
    assert got.status.tolist() == ["", "", "seen_by_all", "seen_by_none"]


METRICS = [oob_margin.METRIC, oob_conf.METRIC, memorisation.METRIC]
of_each = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


@of_each
def test_models_of_unknown_training_do_not_count(metric):
    stranger = output([NO, NO, NO, NO], None)
    got, want = fold(metric, [RUNS[0], stranger, *RUNS[1:]]), fold(metric, RUNS)
    np.testing.assert_array_equal(got.value, want.value)
    alone = fold(metric, [stranger, stranger])
    assert np.isnan(alone.value).all()
    assert set(alone.status) == {"training_rows_unknown"}


@of_each
def test_no_label_is_the_first_reason(metric):
    got = fold(metric, RUNS, labels=[-1, 0, -1, -1])
    assert got.status.tolist() == ["unlabelled", "", "unlabelled", "unlabelled"]
    assert np.isnan(got.value).tolist() == [True, False, True, True]


def random_runs(models=9, rows=50, classes=4):
    numbers = np.random.default_rng(0)
    logits = 5 * numbers.standard_normal((models, rows, classes))
    folds = numbers.integers(0, 3, (models // 3, rows)).repeat(3, axis=0)
    seen = folds != np.arange(models)[:, None] % 3
    labels = numbers.integers(0, classes, rows)
    outputs = [
        Output(logits=torch.from_numpy(z).float(), seen=s)
        for z, s in zip(logits, seen, strict=True)
    ]
    return outputs, labels


def one_by_one(outputs, labels):
    """Return margins out of bag, their spread, probabilities out of bag and in, row by row."""
    rows = []
    for row, label in enumerate(labels):
        margins, outside, inside = [], [], []
        for output in outputs:
            z = output.logits[row].double().numpy()
            p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            (inside if output.seen[row] else outside).append(p[label])
            if not output.seen[row]:
                margins.append(z[label] - max(np.delete(z, label)))
        rows.append([np.mean(margins), np.std(margins), np.mean(outside), np.mean(inside)])
    return np.array(rows).T


def test_a_slow_loop_gives_the_same():
    outputs, labels = random_runs()
    margins, spread, outside, inside = one_by_one(outputs, labels)
    got = fold(oob_margin.METRIC, outputs, labels)
    np.testing.assert_allclose(got.value, margins, rtol=1e-9)
    np.testing.assert_allclose(got.spread, spread, rtol=1e-9)
    np.testing.assert_allclose(fold(oob_conf.METRIC, outputs, labels).value, outside, rtol=1e-9)
    got = fold(memorisation.METRIC, outputs, labels)
    np.testing.assert_allclose(got.value, inside - outside, rtol=1e-9)


@of_each
def test_the_order_of_models_does_not_matter(metric):
    outputs, labels = random_runs()
    got, want = fold(metric, outputs[::-1], labels), fold(metric, outputs, labels)
    np.testing.assert_allclose(got.value, want.value, rtol=1e-12)


@of_each
def test_parts_are_bit_for_bit_the_whole(metric):
    outputs, labels = random_runs()
    whole = fold(metric, outputs, labels)
    for rows in (np.arange(20), np.arange(20, 50)):
        part = fold(metric, [output_rows(o, rows) for o in outputs], labels[rows])
        assert part.value.tobytes() == whole.value[rows].tobytes()


@of_each
def test_a_broken_model_spoils_the_rows_alone_that_it_counts_for(metric):
    outputs, labels = random_runs()
    broken = Output(logits=torch.full_like(outputs[0].logits, torch.nan), seen=outputs[0].seen)
    got = fold(metric, [broken, *outputs[1:]], labels)
    spoilt = np.isnan(got.value)
    np.testing.assert_array_equal(
        spoilt, np.full(50, True) if metric is memorisation.METRIC else ~outputs[0].seen
    )


def test_checkpoints_cannot_say_what_they_saw():
    declared = {
        name: getattr(oob_conf.METRIC, name) for name in ("summary", "purpose", "unit", "source")
    }
    with pytest.raises(TypeError, match="expected finished runs to say what they saw, got epochs"):
        FoldedMetric(
            name="mine",
            version=1,
            prototypical="high",
            signal=Signal.CHECKPOINTS,
            fold=oob_conf.METRIC.fold,
            **declared,
        )
