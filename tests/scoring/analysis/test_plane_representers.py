import math

import numpy as np
import pytest

from scoring.analysis.plane_representers import (
    SIGN_OF_SUPPORT,
    Experiment,
    experiment,
    findings,
    scatter,
)

SEED = 1


@pytest.fixture(scope="module")
def result() -> Experiment:
    return experiment(SEED)


def of_seed(result: Experiment) -> dict[tuple[str, str], float]:
    return {(f.subject, f.measure): f.value for f in findings({SEED: result}) if f.part != "all"}


def test_only_representer_values_are_left_where_the_net_is_certain(result: Experiment) -> None:
    found = of_seed(result)
    assert found["net", "accuracy"] == 1
    assert found["net", "residual"] < 0.02
    assert found["representer", "nothing_said"] == 0
    assert (
        found["representer", "for_same_class"] == found["representer", "against_other_class"] == 1
    )
    assert found["influence as trained", "nothing_said"] > 0.99
    assert found["influence as trained", "strongest"] < 1e-20  # nats
    assert found["influence", "strongest"] < 1e-5
    again = experiment(SEED)
    for method, values in result.values.items():
        np.testing.assert_array_equal(again.values[method], values)


def test_representer_values_sum_to_the_logit_of_the_prediction(result: Experiment) -> None:
    """At rest the logits of two classes sum to 0, so that of the predicted one is above 0."""
    logits = result.values["representer"].sum(axis=0)
    assert (logits > 1).all()
    assert result.values["representer"].shape == (len(result.points), len(result.test_points))


def by_hand(values: np.ndarray) -> Experiment:
    """Seven training points, the first four of class 0, and two test points, one of each class."""
    return Experiment(
        points=np.arange(14.0).reshape(7, 2),
        labels=np.array([0, 0, 0, 0, 1, 1, 1]),
        test_points=np.array([[0.0, 1.0], [20.0, 30.0]]),
        predicted=np.array([0, 1]),
        values=dict.fromkeys(SIGN_OF_SUPPORT, values),
        accuracy=0.5,
        residual=1e-4,
    )


def test_shares_by_hand() -> None:
    first, second = [5, 4, 3, 2, 1, -1, -2], [0, 0, 0, -1, 2e-3, 0, 0]
    found = of_seed(by_hand(np.array([first, second], dtype=float).T))
    # Supporting the first: four of class 0 and one of class 1; the second: one, of its class.
    assert found["representer", "for_same_class"] == pytest.approx(5 / 6)
    # Opposing the first: two of class 1; the second: one of class 0.
    assert found["representer", "against_other_class"] == 1
    # Influence below 0 lowers the loss, so it supports the prediction.
    assert found["influence", "for_same_class"] == 0
    assert found["influence", "against_other_class"] == pytest.approx(1 / 6)
    assert found["influence", "strongest"] == 3
    assert found["influence", "nothing_said"] == 0


def test_a_test_point_with_negligible_values_only() -> None:
    first, second = [5, 4, 3, 2, 1, -1, -2], [1e-3, 0, 0, 0, 0, 0, -5e-3]
    found = of_seed(by_hand(np.array([first, second], dtype=float).T))
    assert found["representer", "nothing_said"] == 0.5


def test_zero_values_say_nothing() -> None:
    found = of_seed(by_hand(np.zeros((7, 2))))
    assert found["representer", "nothing_said"] == 1
    assert math.isnan(found["representer", "for_same_class"])


def test_scatter_reports_places_and_values() -> None:
    values = np.arange(14.0).reshape(7, 2)
    found = {(f.subject, f.measure): f for f in scatter(by_hand(values), shown=1)}
    assert found["influence", "negligible"].value == pytest.approx(0.013)
    assert (found["test 1", "x"].value, found["test 1", "y"].value) == (20, 30)
    assert found["test 1", "x"].part == "class 1"
    assert (found["train 3", "x"].value, found["train 3", "y"].value) == (6, 7)
    assert found["train 3", "influence as trained"].value == values[3, 1]
    assert (found["train 3", "x"].part, found["train 4", "x"].part) == ("class 0", "class 1")
    assert len(found) == 3 + 2 + 7 * 5
