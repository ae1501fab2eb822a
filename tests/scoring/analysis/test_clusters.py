import numpy as np
import pytest

from scoring.analysis import clusters
from scoring.analysis.clusters import Map, MapSettings, draw_map, drawn

QUICK = MapSettings(perplexity=8)


def two_heaps(rows=60, width=20, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, width)) + 12 * (np.arange(rows) % 2)[:, None]


def test_heaps_are_clusters():
    made = draw_map(np.arange(60), two_heaps(), QUICK)
    assert made.places.shape == (60, 2)
    heaps = [set(made.cluster[parity::2].tolist()) - {clusters.NOISE} for parity in (0, 1)]
    assert heaps[0]
    assert heaps[1]
    assert not heaps[0] & heaps[1]


def test_a_seed_makes_one_map_in_whatever_order_examples_come():
    ids, vectors = 7 * np.arange(60), two_heaps()
    first = draw_map(ids, vectors, QUICK)
    order = np.random.default_rng(1).permutation(60)
    again = draw_map(ids[order], vectors[order], QUICK)
    np.testing.assert_array_equal(again.ids, ids)
    np.testing.assert_array_equal(again.places, first.places)
    np.testing.assert_array_equal(again.cluster, first.cluster)


@pytest.mark.parametrize("vectors", [np.ones((9, 6), np.uint8), np.arange(9)[:, None]])
def test_equal_images_and_single_numbers_have_a_map_too(vectors):
    made = draw_map(np.arange(9), vectors, QUICK)
    assert np.isfinite(made.places).all()
    assert made.cluster.shape == (9,)


def test_too_few_have_none():
    made = draw_map(np.arange(4), two_heaps(4), MapSettings(smallest_cluster=5))
    assert made.ids.shape == made.cluster.shape == (0,)
    assert made.places.shape == (0, 2)


def test_the_draw_is_bounded_and_follows_the_seed():
    ids = 3 * np.arange(100)
    some = drawn(ids, MapSettings(map_rows=20))
    assert len(some) == 20
    assert set(some) <= set(ids)
    assert (np.diff(some) > 0).all()
    np.testing.assert_array_equal(drawn(ids, MapSettings(map_rows=20)), some)
    assert set(drawn(ids, MapSettings(map_rows=20, map_seed=1))) != set(some)
    np.testing.assert_array_equal(drawn(ids, MapSettings()), ids)


def test_clusters_and_noise_are_counted():
    on = Map(ids=np.arange(4), places=np.zeros((4, 2)), cluster=np.array([0, 1, 1, -1]))
    noise = Map(ids=np.arange(2), places=np.zeros((2, 2)), cluster=np.array([-1, -1]))
    maps = {("uncommon_submodes", 1): on, ("uncommon_submodes", 0): noise}
    found = {(f.part, f.measure): f for f in clusters.findings(maps, ["bag", "coat"])}
    assert (found["coat", "clusters"].value, found["coat", "noise"].value) == (2, 0.25)
    assert (found["bag", "clusters"].value, found["bag", "noise"].value) == (0, 1)
    assert found["coat", "noise"].rows == 4
