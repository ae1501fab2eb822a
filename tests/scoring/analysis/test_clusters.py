import numpy as np
import pytest

from scoring.analysis import clusters
from scoring.analysis.clusters import Map, MapSettings, draw_map, sample_ids

QUICK = MapSettings(perplexity=8)


def two_heaps(rows=60, width=20, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, width)) + 12 * (np.arange(rows) % 2)[:, None]


def test_heaps_are_clusters():
    drawn = draw_map(np.arange(60), two_heaps(), QUICK)
    assert drawn.places.shape == (60, 2)
    heaps = [set(drawn.cluster[parity::2].tolist()) - {clusters.NOISE} for parity in (0, 1)]
    assert heaps[0]
    assert heaps[1]
    assert not heaps[0] & heaps[1]


def test_a_seed_gives_one_map_whatever_the_order_of_examples():
    ids, vectors = 7 * np.arange(60), two_heaps()
    first = draw_map(ids, vectors, QUICK)
    order = np.random.default_rng(1).permutation(60)
    again = draw_map(ids[order], vectors[order], QUICK)
    np.testing.assert_array_equal(again.ids, ids)
    np.testing.assert_array_equal(again.places, first.places)
    np.testing.assert_array_equal(again.cluster, first.cluster)


@pytest.mark.parametrize("vectors", [np.ones((9, 6), np.uint8), np.arange(9)[:, None]])
def test_equal_images_and_single_numbers_have_a_map_too(vectors):
    drawn = draw_map(np.arange(9), vectors, QUICK)
    assert np.isfinite(drawn.places).all()
    assert drawn.cluster.shape == (9,)


def test_too_few_examples_have_no_map():
    drawn = draw_map(np.arange(4), two_heaps(4), MapSettings(smallest_cluster=5))
    assert drawn.ids.shape == drawn.cluster.shape == (0,)
    assert drawn.places.shape == (0, 2)


def test_the_sample_is_bounded_and_follows_the_seed():
    ids = 3 * np.arange(100)
    sample = sample_ids(ids, MapSettings(map_rows=20))
    assert len(sample) == 20
    assert set(sample) <= set(ids)
    assert (np.diff(sample) > 0).all()
    np.testing.assert_array_equal(sample_ids(ids, MapSettings(map_rows=20)), sample)
    assert set(sample_ids(ids, MapSettings(map_rows=20, map_seed=1))) != set(sample)
    np.testing.assert_array_equal(sample_ids(ids, MapSettings()), ids)


def test_clusters_and_noise_are_counted():
    on = Map(ids=np.arange(4), places=np.zeros((4, 2)), cluster=np.array([0, 1, 1, -1]))
    noise = Map(ids=np.arange(2), places=np.zeros((2, 2)), cluster=np.array([-1, -1]))
    maps = {("uncommon_submodes", 1): on, ("uncommon_submodes", 0): noise}
    found = {(f.part, f.measure): f for f in clusters.findings(maps, ["bag", "coat"])}
    assert (found["coat", "clusters"].value, found["coat", "noise"].value) == (2, 0.25)
    assert (found["bag", "clusters"].value, found["bag", "noise"].value) == (0, 1)
    assert found["coat", "noise"].rows == 4
