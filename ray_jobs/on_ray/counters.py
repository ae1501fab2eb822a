"""Counters that Ray exports on every node's metrics port, for Prometheus: `ray_protoscore_*`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from ray.util.metrics import Counter

from ray_jobs.jobs.progress import Stage, observing
from scoring.score.assignments import Assignment, passes


@contextmanager
def counting_stages(dataset: str) -> Iterator[None]:
    """Count the work of each stage of a night: shards ingested or scored, runs trained."""
    units = _counter("protoscore_units", "Shards or runs done", "dataset", "stage")
    seen: dict[str, int] = {}

    def count(stage: Stage) -> None:
        new = stage.done - seen.get(stage.name, 0)
        seen[stage.name] = stage.done
        if new > 0:
            units.inc(new, {"dataset": dataset, "stage": stage.name})

    with observing(count):
        yield


def retry_counter() -> Callable[[], None]:
    """Return a function that counts a training trial that failed and is tried again."""
    retries = _counter("protoscore_retries", "Trials that failed", "stage")
    return lambda: retries.inc(1, {"stage": "train"})


class ScoringCounters:
    """Counts the work of one scoring actor."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self._examples = _counter("protoscore_examples", "Examples scored", "dataset", "metric")
        self._passes = _counter("protoscore_passes", "Passes through a net", "dataset", "direction")

    def scored(self, rows: int, done: Sequence[Assignment]) -> None:
        """Count a shard of `rows` rows, scored as `done` says."""
        for assignment in done:
            self._examples.inc(rows, {"dataset": self._dataset, "metric": assignment.metric})
        for direction, count in asdict(passes(done)).items():
            if count:
                self._passes.inc(rows * count, {"dataset": self._dataset, "direction": direction})


def _counter(name: str, description: str, *tags: str) -> Counter:
    return Counter(name, description=description, tag_keys=tags)
