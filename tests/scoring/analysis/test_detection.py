import math

import numpy as np
import pytest

from scoring.analysis import detection


def by_part(findings):
    return {(f.part, f.measure): f.value for f in findings}


def test_detection_by_hand():
    clean = np.array([0.1, 0.2, 0.3, math.nan])
    others = {"fog": np.array([0.4, 0.5]), "shear": np.array([0.15, 0.25, math.nan])}
    found = by_part(detection.findings("vog", clean, others))
    assert found["fog", "auroc"] == found["fog", "aupr_in"] == found["fog", "aupr_out"] == 1
    assert found["shear", "auroc"] == pytest.approx(0.5)
    # Highest first: clean, shear, clean, shear, clean.
    assert found["shear", "aupr_out"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["shear", "aupr_in"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert found["mean", "auroc"] == pytest.approx(0.75)
    spreads = {f.measure: f.spread for f in detection.findings("vog", clean, others) if f.spread}
    assert spreads["auroc"] == pytest.approx(0.25)
