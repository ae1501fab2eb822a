"""Maps of the examples of a set and class, and the clusters on them.

Carlini et al. 2019, arXiv:1910.13427, Figures 5 and 11 to 14: t-SNE puts examples that look alike,
to the eye (pixels) or to a net (features), near each other in the plane; HDBSCAN finds where they
lie close together. Both come from scikit-learn. Cost: O(K^2 D) for K examples of D numbers, then
O(K log K) for each step of t-SNE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import HDBSCAN
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from scoring.arrays import Floats, Floats32, Ints
from scoring.tables.findings import Finding

NOISE = -1
"""The cluster of examples that are in no cluster."""


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """How maps are drawn."""

    map_rows: int = 1000
    """Examples on the map of a set and class at most; a larger group is sampled."""
    perplexity: float = 30.0
    """Number of neighbours that t-SNE considers; at most a third of the examples."""
    smallest_cluster: int = 5
    """Fewest examples that HDBSCAN calls a cluster; smaller groups get no map."""
    map_seed: int = 0
    """Seed of the sample and of t-SNE."""


@dataclass(frozen=True, kw_only=True)
class Map:
    """Places of K examples in the plane, and their clusters."""

    ids: Ints
    """[K]."""
    places: Floats
    """[K, 2]."""
    cluster: Ints
    """[K] from 0; `NOISE` for examples in no cluster."""


def sample_ids(ids: Ints, settings: MapSettings) -> Ints:
    """Return the ids to put on a map, ascending: all of them, or a sample of `map_rows`."""
    random = np.random.default_rng(settings.map_seed)
    return np.sort(random.permutation(ids)[: settings.map_rows])


def draw_map(ids: Ints, vectors: npt.NDArray[Any], settings: MapSettings) -> Map:
    """Place examples on a map and find clusters; their order does not matter.

    Args:
        ids: [K] distinct; fewer than `smallest_cluster` give an empty map.
        vectors: [K, D] pixels or features, of any number type.
        settings: how to draw it.
    """
    if len(ids) < settings.smallest_cluster:
        return Map(ids=ids[:0], places=np.empty((0, 2)), cluster=ids[:0])
    order = np.argsort(ids)
    # One thread: with several, sums and so the map would depend on how many there are.
    with threadpool_limits(1):
        places = _places(vectors[order].astype(np.float32), settings)
        clusters = HDBSCAN(min_cluster_size=settings.smallest_cluster, copy=True)
        return Map(ids=ids[order], places=places, cluster=clusters.fit_predict(places))


def findings(maps: Mapping[tuple[str, int], Map], classes: Sequence[str]) -> list[Finding]:
    """Report the clusters on the maps.

    Args:
        maps: (set, label) to its map.
        classes: class names in the order of labels.

    Returns:
        For each map: `clusters`, their number; `noise`, the share of examples in no cluster.
    """
    return [
        Finding(
            subject=name,
            part=classes[label],
            measure=measure,
            value=float(value),
            rows=len(drawn.ids),
        )
        for (name, label), drawn in maps.items()
        for measure, value in (
            ("clusters", drawn.cluster.max(initial=NOISE) + 1),
            ("noise", (drawn.cluster == NOISE).mean()),
        )
    ]


def _places(vectors: Floats32, settings: MapSettings) -> Floats:
    """Place vectors [K, D] in the plane by t-SNE, [K, 2]."""
    # Start from principal components, unless there are fewer than two.
    has_components = min(vectors.shape) > 1 and bool(np.ptp(vectors, axis=0).any())
    tsne = TSNE(
        perplexity=min(settings.perplexity, (len(vectors) - 1) / 3),
        init="pca" if has_components else "random",
        random_state=settings.map_seed,
    )
    return np.asarray(tsne.fit_transform(vectors), dtype=np.float64)
