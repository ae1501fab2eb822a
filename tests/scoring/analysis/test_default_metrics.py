import pytest

from scoring import registry
from scoring.analysis import across_trainings, detection, review_queue, windows


@pytest.mark.parametrize(
    "names",
    [
        across_trainings.DEFAULT_METRICS,
        detection.DEFAULT_METRICS,
        review_queue.DEFAULT_METRICS,
        windows.DEFAULT_METRICS,
        windows.DEFAULT_ROBUSTNESS,
    ],
)
def test_defaults_are_registered(names):
    assert {*names} <= {*registry.metrics()}
