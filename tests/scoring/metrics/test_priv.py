import numpy as np
import pytest
import torch
from apply_metric import fold

from scoring.metrics.priv import METRIC, Config, smallest_reliable
from scoring.spec import Output

EPSILONS = [0.3] * 4 + [1.0] * 4 + [3.0] * 4 + [8.0] * 8  # models of four levels

# Whether each model is right about an example, level by level, and the epsilon that follows.
TABLE = {
    "all right": ("1111 1111 1111 11111111", 0.3),
    "half of a level's own is enough": ("1100 1111 1111 11111111", 0.3),
    "less than half is not": ("1000 1111 1111 11111111", 1.0),
    "15 of 16 less private ones right": ("1111 0111 1111 11111111", 0.3),
    "14 of 16 less private ones right": ("1111 0011 1111 11111111", 1.0),
    "the level's own are not among them": ("0000 0011 1111 11111111", 1.0),
    "11 of 12, at the next level": ("0000 1111 0111 11111111", 1.0),
    "10 of 12, at the next level": ("0000 1111 0011 11111111", 3.0),
    "the least private level stands alone": ("0000 0000 0000 11110000", 8.0),
    "the least private level fails": ("1111 1111 1111 11100000", np.nan),
    "a weak level does not stop stronger ones": ("1111 0000 1111 11111111", 3.0),
    "only private models right": ("1111 0000 0000 00000000", np.nan),
    "none right": ("0000 0000 0000 00000000", np.nan),
}


def right_of(table):
    return np.array([[c == "1" for c in row.replace(" ", "")] for row, _ in table.values()]).T


@pytest.mark.parametrize("case", TABLE)
def test_hand_made_table(case):
    right = right_of({case: TABLE[case]})
    got = smallest_reliable(np.array(EPSILONS), right, Config())
    np.testing.assert_array_equal(got, [TABLE[case][1]])


def test_the_order_of_models_does_not_matter():
    order = np.random.default_rng(0).permutation(len(EPSILONS))
    right, epsilons = right_of(TABLE), np.array(EPSILONS)
    want = [epsilon for _, epsilon in TABLE.values()]
    got = smallest_reliable(epsilons[order], right[order], Config())
    np.testing.assert_array_equal(got, want)


def test_a_share_of_exactly_nine_tenths_counts():
    for models in (10, 20, 30, 70, 110):
        right = np.ones((1 + models, 1), dtype=bool)
        right[1 : 1 + models // 10] = False
        epsilons = np.array([0.1] + [1.0] * models)
        assert smallest_reliable(epsilons, right, Config()) == [0.1]


def outputs_of(right, labels, epsilons):
    """Return outputs whose argmax is the label where `right`, another class elsewhere."""
    classes = np.where(right, labels, (labels + 1) % 3)
    logits = np.eye(3, dtype=np.float32)[classes]
    return [
        Output(logits=torch.from_numpy(z), epsilon=epsilon)
        for z, epsilon in zip(logits, epsilons, strict=True)
    ]


def test_folds_runs_with_the_share_of_right_models_as_second_key():
    right = right_of(TABLE)
    labels = np.arange(right.shape[1]) % 3
    columns = fold(METRIC, outputs_of(right, labels, EPSILONS), labels)
    np.testing.assert_array_equal(columns.value, [epsilon for _, epsilon in TABLE.values()])
    np.testing.assert_allclose(columns.tiebreak, right.mean(axis=0))
    reasons = np.where(np.isnan(columns.value), "never_reliable", "")
    assert columns.status.tolist() == reasons.tolist()
    assert columns.spread is None


def test_unlabelled_rows_say_so():
    labels = np.array([0, -1])
    columns = fold(METRIC, outputs_of(np.ones((2, 2), bool), np.array([0, 1]), [1.0, 2.0]), labels)
    assert columns.status.tolist() == ["", "unlabelled"]
    np.testing.assert_array_equal(columns.value, [1.0, np.nan])
    np.testing.assert_array_equal(columns.tiebreak, [1.0, np.nan])


def test_needs_the_epsilon_of_each_run():
    with pytest.raises(ValueError, match="priv: expected the epsilon that each run spent"):
        fold(METRIC, [Output(logits=torch.zeros(2, 3))])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("own_share", 0.0, r"own_share: expected a share in \(0, 1\], got 0\.0"),
        ("own_share", 1.5, r"own_share: expected a share in \(0, 1\], got 1\.5"),
        (
            "less_private_share",
            -0.1,
            r"less_private_share: expected a share in \[0, 1\], got -0\.1",
        ),
    ],
)
def test_bad_settings_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Config(**{field: value})
