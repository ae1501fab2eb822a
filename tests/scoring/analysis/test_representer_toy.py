import math

import numpy as np
import pytest

from scoring.analysis.plane_representers import (
    FOR,
    RepresenterToy,
    findings,
    plane,
    representer_toy,
)

SEED = 1


@pytest.fixture(scope="module")
def made() -> RepresenterToy:
    return representer_toy(SEED)


def of_seed(toy: RepresenterToy) -> dict[tuple[str, str], float]:
    return {(f.subject, f.measure): f.value for f in findings({SEED: toy}) if f.part != "all"}


def test_where_the_net_is_sure_representer_values_alone_are_left(made: RepresenterToy) -> None:
    found = of_seed(made)
    assert found["net", "accuracy"] == 1
    assert found["net", "residual"] < 0.02
    assert found["representer", "nothing_said"] == 0
    assert (
        found["representer", "for_same_class"] == found["representer", "against_other_class"] == 1
    )
    assert found["influence as trained", "nothing_said"] > 0.99
    assert found["influence as trained", "strongest"] < 1e-20  # nats
    assert found["influence", "strongest"] < 1e-5
    again = representer_toy(SEED)
    for way, values in made.values.items():
        np.testing.assert_array_equal(again.values[way], values)


def test_representer_values_sum_to_the_logit_of_the_prediction(made: RepresenterToy) -> None:
    """Of two classes whose logits sum to 0 at rest, that of the predicted one is above 0."""
    logits = made.values["representer"].sum(axis=0)
    assert (logits > 1).all()
    assert made.values["representer"].shape == (len(made.points), len(made.tested))


def by_hand(values: np.ndarray) -> RepresenterToy:
    """Seven training points, the first four of class 0, and two test points, one of each class."""
    return RepresenterToy(
        points=np.arange(14.0).reshape(7, 2),
        labels=np.array([0, 0, 0, 0, 1, 1, 1]),
        tested=np.array([[0.0, 1.0], [20.0, 30.0]]),
        predicted=np.array([0, 1]),
        values=dict.fromkeys(FOR, values),
        accuracy=0.5,
        residual=1e-4,
    )


def test_shares_by_hand() -> None:
    first, second = [5, 4, 3, 2, 1, -1, -2], [0, 0, 0, -1, 2e-3, 0, 0]
    found = of_seed(by_hand(np.array([first, second], dtype=float).T))
    # For the first: four of class 0 and one of class 1; for the second: one, of its class.
    assert found["representer", "for_same_class"] == pytest.approx(5 / 6)
    # Against the first: two of class 1; against the second: one of class 0.
    assert found["representer", "against_other_class"] == 1
    # Influence below 0 lowers the loss: it speaks for the prediction.
    assert found["influence", "for_same_class"] == 0
    assert found["influence", "against_other_class"] == pytest.approx(1 / 6)
    assert found["influence", "strongest"] == 3
    assert found["influence", "nothing_said"] == 0


def test_a_test_point_of_which_little_is_said() -> None:
    first, second = [5, 4, 3, 2, 1, -1, -2], [1e-3, 0, 0, 0, 0, 0, -5e-3]
    found = of_seed(by_hand(np.array([first, second], dtype=float).T))
    assert found["representer", "nothing_said"] == 0.5


def test_where_all_is_zero_nothing_is_said() -> None:
    found = of_seed(by_hand(np.zeros((7, 2))))
    assert found["representer", "nothing_said"] == 1
    assert math.isnan(found["representer", "for_same_class"])


def test_the_plane_as_findings() -> None:
    values = np.arange(14.0).reshape(7, 2)
    told = {(f.subject, f.measure): f for f in plane(by_hand(values), shown=1)}
    assert told["influence", "negligible"].value == pytest.approx(0.013)
    assert (told["test 1", "x"].value, told["test 1", "y"].value) == (20, 30)
    assert told["test 1", "x"].part == "class 1"
    assert (told["train 3", "x"].value, told["train 3", "y"].value) == (6, 7)
    assert told["train 3", "influence as trained"].value == values[3, 1]
    assert (told["train 3", "x"].part, told["train 4", "x"].part) == ("class 0", "class 1")
    assert len(told) == 3 + 2 + 7 * 5
