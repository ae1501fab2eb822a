from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from scoring.analysis.human_picks import Answers, chooser_findings, counted_images, findings
from scoring.analysis.score_table import Scores
from scoring.data.studies import Screen


def scores(rank: list[int | None]) -> Scores:
    ranked = [r for r in rank if r is not None]
    percentile = [None if r is None else 100 * (r + 0.5) / len(ranked) for r in rank]
    return Scores.from_table(
        pa.table(
            {
                "example_id": pa.array(range(len(rank)), pa.int64()),
                "label": pa.array([0] * len(rank), pa.int32()),
                "predicted": pa.array([0] * len(rank), pa.int32()),
                "rank": pa.array(rank, pa.int64()),
                "percentile": pa.array(percentile, pa.float64()),
                "class_percentile": pa.array(
                    [None if p is None else 60 - p for p in percentile], pa.float64()
                ),
            }
        ).take(pa.array(range(len(rank))[::-1]))
    )


def screen(question: str, *shown: int | None, gold: int | None = None) -> Screen:
    return Screen(question=question, label=0, shown=shown, gold=gold)


def test_gold_and_forgotten_images_do_not_count():
    screens = [
        screen("best", 1, 2, 3),
        screen("worst", 4, 5, 6),
        screen("worst", 7, 8, 9, gold=1),
        screen("best", 10, None, 12),
        screen("best", 13, None, 15),
    ]
    answers = Answers(screens=screens, picks=[0, 2, 1, 1, 2])
    assert (answers.gold, answers.right) == (1, 1)
    assert Answers(screens=screens, picks=[0, 2, 0, 1, 2]).right == 0
    found = {kind: ids.tolist() for kind, ids in counted_images([answers]).items()}
    assert found == {"best": [1, 15], "worst": [6], "shown": [1, 2, 3, 4, 5, 6, 13, 15]}


def test_shares_are_those_of_a_slow_loop():
    random = np.random.default_rng(0)
    rank = random.permutation(40).tolist() + [None] * 5
    picked = random.integers(0, 50, 200)  # 45 to 49 are not published
    found = findings("conf", scores(rank), {"best": picked})
    tenths = Counter(rank[i] * 10 // 40 for i in picked if i < 45 and rank[i] is not None)
    counted = sum(tenths.values())
    assert counted < 200
    for f in found:
        assert f.subject == "conf"
        assert f.rows == counted
        if f.part != "all":
            assert f.measure == "best_share"
            assert f.value == pytest.approx(tenths[int(f.part) - 1] / counted)
    means = {f.measure: f.value for f in found if f.part == "all"}
    each = [100 * (rank[i] + 0.5) / 40 for i in picked if i < 45 and rank[i] is not None]
    assert means["best_percentile"] == pytest.approx(np.mean(each))
    in_class = [60 - p for p in each]
    assert means["best_class_percentile"] == pytest.approx(np.mean(in_class))


def test_without_picks_nothing_is_known():
    found = findings("conf", scores([0, 1]), {"worst": np.array([], np.int64)})
    assert len(found) == 12
    assert all(np.isnan(f.value) and f.rows == 0 for f in found)


def test_choosers_are_counted():
    assert [(f.part, f.value, f.rows) for f in chooser_findings(3, 1)] == [
        ("counted", 3, 4),
        ("dropped", 1, 4),
    ]
