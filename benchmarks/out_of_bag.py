"""Measure what metrics by unseen models add to the scoring of a night.

A night in one process scores part of Fashion-MNIST by its default metrics, which the models'
outputs serve in common. Only what belongs to the metrics by unseen models is counted: reading who
saw what and the tallies, folding, and writing the results.
"""

import os
import tempfile

from benchmarks.jobs import result
from benchmarks.stopwatch import Stopwatch, jobs_in_process, night
from scoring.score import scorer
from scoring.score.scorer import Scorer

_ROOT = os.environ.get("PROTOSCORE_TEST_DATA", "../shared/data")
_NIGHT = (
    *("--dataset", "fashion_mnist", "--data-root", _ROOT, "--recipe", "smoke"),
    *("--limit-train", "2000", "--limit-test", "500", "--shard-rows", "500"),
)
_METRICS = (
    *("fleet_aum", "memorisation", "oob_conf", "oob_confidence_mean", "oob_margin"),
    "probabilities",
)


def share() -> list[dict[str, object]]:
    """Measure the share of these metrics."""
    whole, added = Stopwatch(), Stopwatch()
    with (
        jobs_in_process(),
        tempfile.TemporaryDirectory() as store,
        whole.timing([(Scorer, "score")]),
        added.timing([(Scorer, "_fold_block")], lambda _, metric, *__: metric.name in _METRICS),
        added.timing([(Scorer, "_stage")], lambda _, task, *__: task.assignment.metric in _METRICS),
        added.timing([(scorer, "read_tally")]),
    ):
        night(store, *_NIGHT)
    note = f"{added.seconds:.2f} of {whole.seconds:.1f} s"
    return [result("out_of_bag_share", 100 * added.seconds / whole.seconds, "%", "< 2", note)]
