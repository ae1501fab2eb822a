"""Maps of the examples of a set and class, and the clusters on them.

Carlini et al. 2019, arXiv:1910.13427, Figures 5 and 11 to 14: t-SNE puts examples that look alike,
to the eye (pixels) or to a net (features), beside each other in the plane; HDBSCAN finds where they
lie close together. Both are scikit-learn's. Cost: O(K^2 D) for K examples of D numbers, then
O(K log K) a step of t-SNE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import HDBSCAN
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from scoring.arrays import Floats, Ints
from scoring.tables.findings import Finding

NOISE = -1


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """How maps are drawn."""

    map_rows: int = 1000
    """Most examples on the map of a set and class; of more, so many are drawn."""
    perplexity: float = 30.0
    """Neighbours of an example that t-SNE heeds, or a third of the examples where that is less."""
    smallest_cluster: int = 5
    """Fewest examples that HDBSCAN calls a cluster; no map is made of fewer."""
    map_seed: int = 0
    """Of the draw and of t-SNE."""


@dataclass(frozen=True, kw_only=True)
class Map:
    """Where K examples lie."""

    ids: Ints
    """[K] int64."""
    places: Floats
    """[K, 2]."""
    cluster: Ints
    """[K] from 0 on, -1 = noise."""


def drawn(ids: Ints, settings: MapSettings) -> Ints:
    """Those of ids [K], ascending, that are put on a map: all, or `map_rows` drawn by seed."""
    random = np.random.default_rng(settings.map_seed)
    return np.sort(random.permutation(ids)[: settings.map_rows])


def draw_map(ids: Ints, vectors: npt.NDArray[Any], settings: MapSettings) -> Map:
    """Put examples on a map and look for clusters; the order they are given in changes nothing.

    Args:
        ids: [K] int64, each once; with fewer than `smallest_cluster` the map is empty.
        vectors: [K, D] pixels or features, of any number type.
        settings: how.
    """
    if len(ids) < settings.smallest_cluster:
        return Map(ids=ids[:0], places=np.empty((0, 2)), cluster=ids[:0])
    order = np.argsort(ids)
    # One thread: sums, and so the map, would depend on how many there are.
    with threadpool_limits(1):
        places = _places(vectors[order].astype(np.float32), settings)
        clusters = HDBSCAN(min_cluster_size=settings.smallest_cluster, copy=True)
        return Map(ids=ids[order], places=places, cluster=clusters.fit_predict(places))


def findings(maps: Mapping[tuple[str, int], Map], classes: Sequence[str]) -> list[Finding]:
    """What lies on the maps of sets and classes.

    Args:
        maps: by set and label.
        classes: their names in the order of labels.

    Returns:
        For each: `clusters`, how many; `noise`, the share of the examples that are in none.
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


def _places(vectors: npt.NDArray[np.float32], settings: MapSettings) -> Floats:
    """[K, 2]: t-SNE of vectors [K, D]."""
    # Principal components to begin with, but of what has fewer than two there are none.
    spread = min(vectors.shape) > 1 and bool(np.ptp(vectors, axis=0).any())
    tsne = TSNE(
        perplexity=min(settings.perplexity, (len(vectors) - 1) / 3),
        init="pca" if spread else "random",
        random_state=settings.map_seed,
    )
    return np.asarray(tsne.fit_transform(vectors), dtype=np.float64)
