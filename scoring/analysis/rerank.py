"""Ranks the rows of a partition again after some have left, from the published rows alone."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from scoring.score.ranking import UNRANKED, rank
from scoring.spec import Metric
from scoring.tables.score_rows import score_rows


def rerank(metric: Metric, rows: pa.Table, dataset_version: str) -> Iterator[pa.RecordBatch]:
    """Rank published rows among themselves.

    The earlier rank stands in for the metric's own tiebreak, which is not published: it orders
    equal values. Metrics that are ranked by class_z have no tiebreak, and their order may change.

    Args:
        metric: of the partition.
        rows: [N] rows of `scores`.
        dataset_version: the version that the rows belong to now.

    Yields:
        The rows with new ranks, percentiles and class_z, sorted.
    """
    ids = rows["example_id"].to_numpy()
    label, given, predicted = (
        rows[name].fill_null(-1).to_numpy().astype(np.int32)
        for name in ("label", "given_label", "predicted")
    )
    value = rows["value"].to_numpy().astype(np.float64)
    before = rows["rank"].fill_null(UNRANKED).to_numpy().astype(np.float64)
    status = np.array(rows["status"].fill_null("").to_pylist(), dtype=np.object_)
    ranks = rank(
        value=value,
        label=label if metric.normalised_in == "label" else predicted,
        example_id=ids,
        direction=metric.prototypical,
        ranked_by=metric.ranked_by,
        ends=metric.statuses,
        status=status,
        tiebreak=before if metric.ranked_by == "value" else None,
    )
    yield from score_rows(
        example_id=ids,
        name=rows["name"].combine_chunks(),
        label=label,
        given_label=given,
        predicted=predicted,
        value=value,
        spread=rows["spread"].to_numpy().astype(np.float64),
        status=status,
        ranks=ranks,
        scored_at=rows["scored_at"].combine_chunks(),
        dataset_version=dataset_version,
        score_key=rows["score_key"].combine_chunks(),
    )
