"""What verdicts on a queue say."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from scoring.analysis.review_findings import (
    ABOVE_CUT,
    ALL,
    STRATUM,
    disagreements,
    findings,
    measure,
)
from scoring.analysis.review_sample import EDGES
from scoring.data.reviews import Check, Stratum, new_queue
from scoring.tables.verdicts import Verdict, merged

START = datetime(2026, 11, 20, tzinfo=UTC)
ROWS = (1000, 0, 50, 20, 40, 30)
MEANS = (0.01, 0, 0.4, 0.6, 0.9, 0.99)


def check(example_id, stratum):
    return Check(
        example_id=example_id, example="h", name=None, label=0, suggested=1, wrong=MEANS[stratum],
        stratum=stratum,
    )  # fmt: skip


QUEUE = new_queue(
    dataset="d", data="d", split="train", dataset_version="v", seed=0,
    strata=tuple(
        Stratum(start=start, rows=rows, mean=mean)
        for start, rows, mean in zip(EDGES[:-1], ROWS, MEANS, strict=True)
    ),
    checks=tuple(check(i, (0, 2, 3, 4, 5)[i // 10]) for i in range(50)),
)  # fmt: skip


def verdict(example_id, decision="keep", label=None, reviewer="ann", minutes=0, **more):
    of = {c.example_id: c for c in QUEUE.checks}[example_id]
    columns = {
        "example_id": example_id, "example": "h", "name": None, "label": of.label,
        "decision": decision, "decided_label": label, "wrong": of.wrong, "stratum": of.stratum,
        "queue": QUEUE.id, "reviewer": reviewer, "decided_at": START + timedelta(minutes=minutes),
        "dataset_version": "v",
    }  # fmt: skip
    return Verdict(**{**columns, **more})


def test_a_count_by_hand():
    made = [
        *(verdict(i) for i in range(9)),
        verdict(9, "exclude"),
        *(verdict(i, "ambiguous") for i in range(10, 15)),
        *(verdict(i, "relabel", 2) for i in range(20, 25)),
        *(verdict(i) for i in range(25, 30)),
        *(verdict(i, "relabel", 1) for i in range(30, 38)),
        verdict(38, "skip"),
        *(verdict(i, "relabel", 1) for i in range(40, 50)),
    ]
    found = measure(QUEUE, made)
    assert found.checked.tolist() == [10, 0, 5, 10, 8, 10]
    assert found.found.tolist() == [1, 0, 0, 5, 8, 10]
    assert found.wrong.value == pytest.approx(1000 / 10 + 0 + 20 / 2 + 40 + 30)
    assert found.ambiguous.value == pytest.approx(50)
    assert found.precision.value == pytest.approx((10 + 40 + 30) / 90)
    assert found.precision.low < found.precision.value < found.precision.high <= 1
    assert found.expected == pytest.approx(10 + 20 + 12 + 36 + 29.7)
    assert found.expected_precision == pytest.approx((12 + 36 + 29.7) / 90)
    values = {(f.subject, f.measure): f for f in findings(found, QUEUE)}
    assert values[ALL, "wrong"].value == found.wrong.value
    assert values[ALL, "wrong_low"].value == found.wrong.low
    assert (values[ALL, "wrong"].rows, values[ABOVE_CUT, "precision"].rows) == (43, 28)
    strata = {(f.part, f.measure): f.value for f in findings(found, QUEUE) if f.subject == STRATUM}
    assert strata["from 0.5", "share"] == 0.5
    assert np.isnan(strata["from 0.05", "share"])
    assert strata["from 0", "rows"] == 1000


def test_reviewers_who_disagree_count_by_shares():
    made = [
        verdict(20, "relabel", 1),
        verdict(20, "keep", reviewer="bob"),
        verdict(21, "relabel", 1),
        verdict(21, "relabel", 2, reviewer="bob"),
        verdict(22, "exclude"),
        verdict(22, "exclude", reviewer="bob"),
        verdict(23, "relabel", 1),
        verdict(23, "skip", reviewer="bob"),
    ]
    found = measure(QUEUE, made)
    assert found.checked[3] == 4
    assert found.found[3] == 3.5
    assert [[v.example_id for v in each] for each in disagreements(made)] == [[20, 20], [21, 21]]


def test_without_any_check_all_is_possible():
    found = measure(QUEUE, [verdict(3, "skip")])
    assert found.checked.sum() == 0
    assert (found.wrong.low, found.wrong.high) == (0, sum(ROWS))
    assert found.wrong.value == pytest.approx(found.expected)


def test_the_newest_verdict_of_each_counts():
    old, new = verdict(1, "exclude"), verdict(1, "keep", minutes=1)
    other = verdict(1, "skip", reviewer="bob")
    elsewhere = verdict(1, "skip", queue="another")
    assert merged([new, old], [other]) == [new, other]
    assert merged([old, other], [new, elsewhere]) == sorted(
        [new, other, elsewhere], key=lambda v: (v.queue, v.reviewer)
    )
    assert merged([verdict(1, "skip")], [verdict(1, "keep")]) == [verdict(1, "keep")]
    assert merged([new], [new]) == [new]
