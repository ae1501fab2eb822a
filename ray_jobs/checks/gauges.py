"""Gauges of a dataset's newest night, for Prometheus.

A night is a batch job, which nothing can scrape when it is over, so they are written to a file for
node_exporter's textfile collector, or pushed to a Pushgateway. (Ray's own endpoint has counters of
the work while it goes on: `ray_protoscore_*`.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest, push_to_gateway

from ray_jobs.checks.expectations import Expectations, Verdict, drifted
from ray_jobs.checks.facts import Facts
from scoring.errors import Outage

_JOB = "protoscore"
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class _Series:
    name: str
    about: str
    values: Mapping[tuple[str, ...], float]
    """Labels to value."""
    labels: tuple[str, ...] = ()


def registry(
    facts: Facts, expected: Expectations, verdicts: Sequence[Verdict]
) -> CollectorRegistry:
    """Return the gauges, each with the label `dataset`."""
    found = CollectorRegistry()
    for series in (*_of_the_night(facts), *_of_changes(facts, expected), _of_verdicts(verdicts)):
        names = ["dataset", *series.labels]
        gauge = Gauge(f"protoscore_{series.name}", series.about, names, registry=found)
        for labels, value in series.values.items():
            gauge.labels(facts.dataset, *labels).set(value)
    return found


def as_text(found: CollectorRegistry) -> bytes:
    """Return gauges in Prometheus's text format."""
    return bytes(generate_latest(found))


def push(found: CollectorRegistry, gateway: str, dataset: str) -> None:
    """Replace the gauges of a dataset on a Pushgateway.

    Args:
        found: the gauges.
        gateway: its address, such as http://pushgateway:9091.
        dataset: the grouping key, besides the job's name.

    Raises:
        Outage: the gateway does not take them.
    """
    try:
        push_to_gateway(gateway, _JOB, found, grouping_key={"dataset": dataset}, timeout=_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise Outage(
            f"--pushgateway: expected a Pushgateway at {gateway}, got {type(error).__name__}: "
            f"{error}"
        ) from error


def _of_the_night(facts: Facts) -> list[_Series]:
    success, checked = facts.last_success.timestamp(), facts.now.timestamp()
    return [
        _Series(
            "last_success_timestamp_seconds",
            "When a night last published, or found nothing to do",
            {(): success},
        ),
        _Series("check_timestamp_seconds", "When the night was last checked", {(): checked}),
        _Series("night_seconds", "How long the newest night took", {(): facts.night_seconds}),
        _Series("rows", "Published examples", _labelled(facts.rows.items()), ("split",)),
        _Series(
            "test_accuracy",
            "Accuracy of the published predictions, or of the base run",
            _labelled(facts.accuracy.items()),
            ("model",),
        ),
    ]


def _of_changes(facts: Facts, expected: Expectations) -> list[_Series]:
    changes = facts.changes
    if changes is None:
        return []
    drifted_shards = {judged.shard.content for judged in drifted(changes.shards, expected)}
    return [
        _Series(
            "rows_gone",
            "Examples no longer published since the night before",
            _labelled(changes.gone.items()),
            ("split",),
        ),
        _Series(
            "new_lowest",
            "Examples newly in the lowest hundredth since the night before",
            {(split, metric): n for (split, metric), n in changes.newly_lowest.items()},
            ("split", "metric"),
        ),
        _Series(
            "drifted_shards", "New shards whose scores have drifted", {(): len(drifted_shards)}
        ),
    ]


def _of_verdicts(verdicts: Sequence[Verdict]) -> _Series:
    failed = {verdict.expectation: float(verdict.verdict == "failed") for verdict in verdicts}
    about = "1 if the expectation failed, else 0"
    return _Series("expectation_failed", about, _labelled(failed.items()), ("expectation",))


def _labelled(values: Iterable[tuple[str, float]]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values}
