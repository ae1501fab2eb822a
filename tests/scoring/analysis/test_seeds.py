import math

import pytest

from scoring.analysis.seeds import findings_by_seed


def test_means_leave_out_nan() -> None:
    numbers = {3: {"a": 1.0, "b": math.nan, "c": math.nan}, 5: {"a": 3.0, "b": 2.0, "c": math.nan}}
    found = {(f.part, f.measure): f for f in findings_by_seed("net", numbers, rows=40)}
    assert found["seed 5", "a"].value == 3
    assert found["seed 5", "a"].rows == 40
    assert (found["all", "a"].value, found["all", "a"].spread) == (2, pytest.approx(1))
    assert (found["all", "b"].value, found["all", "b"].spread, found["all", "b"].rows) == (2, 0, 1)
    assert math.isnan(found["all", "c"].value)
    assert (found["all", "c"].spread, found["all", "c"].rows) == (None, 0)
    assert {f.subject for f in found.values()} == {"net"}
