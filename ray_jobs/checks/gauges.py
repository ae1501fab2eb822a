"""Gauges of a dataset's newest night, for Prometheus.

A night is a batch job, which nothing can scrape when it is over, so they are written to a file for
node_exporter's textfile collector, or pushed to a Pushgateway. (Ray's own endpoint has counters of
the work while it goes on: `ray_protoscore_*`.)
"""

import math
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge, generate_latest, push_to_gateway

from ray_jobs.checks.expectations import Expectations, Verdict, drifted
from ray_jobs.checks.facts import Facts
from scoring.errors import Outage

_JOB = "protoscore"
_TIMEOUT_S = 30.0


def registry(
    facts: Facts, expected: Expectations, verdicts: Sequence[Verdict]
) -> CollectorRegistry:
    """Return the gauges, each with the label `dataset`."""
    found = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"protoscore_{name}", about, ["dataset", *labels], registry=found)

    def put(gauge: Gauge, value: float, *labels: str) -> None:
        if not math.isnan(value):
            gauge.labels(facts.dataset, *labels).set(value)

    put(
        gauge(
            "last_success_timestamp_seconds",
            "When a night last published, or found nothing to do",
        ),
        facts.last_success.timestamp(),
    )
    put(gauge("check_timestamp_seconds", "When these were measured"), facts.now.timestamp())
    put(gauge("night_seconds", "How long the newest night took"), facts.night_seconds)
    rows = gauge("rows", "Published examples", "split")
    gone = gauge("rows_gone", "Examples no longer published since the night before", "split")
    for split, count in facts.rows.items():
        put(rows, count, split)
        put(gone, facts.gone.get(split, 0), split)
    lowest = gauge(
        "new_lowest",
        "Examples newly in the lowest hundredth since the night before",
        "split",
        "metric",
    )
    for (split, metric), count in facts.newly_lowest.items():
        put(lowest, count, split, metric)
    accuracy = gauge(
        "test_accuracy", "Accuracy of the published predictions, or of the base run", "model"
    )
    for model, share in facts.accuracy.items():
        put(accuracy, share, model)
    shards = {judged.shard.content for judged in drifted(facts.shards, expected)}
    put(gauge("drifted_shards", "New shards whose scores have drifted"), len(shards))
    failed = gauge("expectation_failed", "1 if the expectation failed, else 0", "expectation")
    for verdict in verdicts:
        put(failed, float(verdict.verdict == "failed"), verdict.expectation)
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
