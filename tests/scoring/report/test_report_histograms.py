import numpy as np
from report_folder import read_data

from scoring.report.histograms import BINS, histogram


def test_values_are_between_the_edges_of_their_bin():
    values = np.concatenate([np.random.default_rng(1).normal(size=1_000), [500.0, -90.0]])
    found = histogram(values)
    assert (np.diff(found.edges) > 0).all()
    assert found.edges[0] == -90
    assert found.edges[-1] == 500
    assert (values >= found.edges[found.bin] - 1e-5).all()
    assert (values <= found.edges[found.bin.astype(int) + 1] + 1e-5).all()
    assert len(np.unique(found.bin)) > 50  # two far values do not push the rest into one bin


def test_equal_values_share_a_bin():
    found = histogram(np.full(9, 2.5))
    assert len(set(found.bin.tolist())) == 1
    assert found.edges.tolist() == [2.5] * (BINS + 1)


def test_rankings_carry_the_bins_of_their_examples(folder, examples):
    ranking = read_data(folder, "data/test/rankings/agr.js")
    expected = histogram(examples["test"].values["agr"].astype(np.float32).astype(float))
    np.testing.assert_array_equal(ranking["bin"], expected.bin[ranking["order"]])
    np.testing.assert_array_equal(ranking["edges"], expected.edges)
    assert (np.diff(ranking["bin"].astype(int)) <= 0).all()  # high values are outlying
