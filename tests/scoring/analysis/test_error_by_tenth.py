import math

import numpy as np
import pyarrow as pa
import pytest

from scoring.analysis import error_by_tenth
from scoring.analysis.error_by_tenth import Errors, errors_by_tenth
from scoring.analysis.score_table import Scores


def scores_of(ids, label, predicted, ranks) -> Scores:
    return Scores.from_table(
        pa.table(
            {
                "example_id": pa.array(ids, pa.int64()),
                "label": pa.array(label, pa.int32()),
                "predicted": pa.array(predicted, pa.int32()),
                "rank": pa.array(ranks, pa.int64()),
                "percentile": pa.array([float(i) for i in ids]),
            }
        )
    )


def test_error_rates_of_parts():
    errors = Errors(rows=(10,) * 9 + (0,), wrong=(9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
    found = {f.part: f.value for f in error_by_tenth.findings("vog", errors)}
    assert [found[str(tenth)] for tenth in range(1, 10)] == pytest.approx(
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    )
    assert math.isnan(found["10"])
    assert found["upper half"] == pytest.approx(10 / 40)
    assert found["all"] == pytest.approx(45 / 90)


def test_errors_are_counted_by_tenths_of_the_ranking():
    ranks = np.random.default_rng(2).permutation(200)
    wrong = (ranks < 15) | (ranks == 100)
    scores = scores_of(range(200), [0] * 200, wrong.astype(int), ranks)
    errors = errors_by_tenth(scores)
    assert errors.rows == (20,) * 10
    assert errors.wrong == (15, 0, 0, 0, 0, 1, 0, 0, 0, 0)
    assert errors.rates[0] == 0.75
    assert errors.rate == 16 / 200
    assert errors.upper_half == 1 / 100


def test_rows_without_rank_label_or_prediction_are_not_counted():
    scores = scores_of(range(5), [0, None, 0, 0, 1], [1, 0, None, 0, 1], [0, 1, 2, None, 3])
    errors = errors_by_tenth(scores)
    assert (sum(errors.rows), sum(errors.wrong)) == (2, 1)
    assert None in errors.rates
    assert errors_by_tenth(scores_of([0], [None], [0], [0])) is None
