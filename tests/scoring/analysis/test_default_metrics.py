import pytest

from scoring import registry
from scoring.analysis import across_trainings, detection, windows


@pytest.mark.parametrize(
    "names",
    [
        across_trainings.DEFAULT_METRICS,
        detection.DEFAULT_METRICS,
        windows.DEFAULT_METRICS,
        windows.DEFAULT_ROBUSTNESS,
    ],
)
def test_defaults_are_registered(names):
    assert {*names} <= {*registry.metrics()}
