"""A store with several nights over a dataset that grows, without a net: values are made up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import report_store
from report_store import METRICS, Examples, publish_scores, write_dataset

from scoring.store.storage import Storage

CLASSES = ("circle", "square")
FIRST_TEST_ID = 100_000
NOW = datetime.now(UTC)


def examples(rows: int, seed: int) -> Examples:
    """Examples whose values are all drawn alike; one in twenty is misclassified."""
    random = np.random.default_rng(seed)
    label = np.arange(rows) % 2
    predicted = np.where(np.arange(rows) % 20 == 0, 1 - label, label)
    values = {metric.name: random.normal(size=rows) for metric in METRICS}
    return Examples(
        images=random.integers(0, 256, (rows, 8, 8, 1), dtype=np.uint8),
        label=label,
        predicted=predicted,
        values=values,
    )


def first(whole: Examples, rows: int) -> Examples:
    """The first rows."""
    return replace(
        whole,
        images=whole.images[:rows],
        label=whole.label[:rows],
        predicted=whole.predicted[:rows],
        values={name: value[:rows] for name, value in whole.values.items()},
    )


def outlying(whole: Examples, rows: np.ndarray, metric: str = "adv_l2") -> Examples:
    """The same examples, some of them far out by one metric (high is prototypical)."""
    value = whole.values[metric].copy()
    value[rows] -= 10
    return replace(whole, values={**whole.values, metric: value})


def publish_night(
    storage: Storage, train: Examples, test: Examples, *, night: int, hours_ago: float = 1
) -> None:
    """Publish a night that ended some hours ago."""
    ended, report_store.STARTED = report_store.STARTED, NOW - timedelta(hours=hours_ago)
    try:
        both = {"train": train, "test": test}
        versions = write_dataset(storage, "mine", both, CLASSES, FIRST_TEST_ID)
        publish_scores(storage, "mine", versions, both, night=night)
    finally:
        report_store.STARTED = ended
