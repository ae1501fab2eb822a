"""Find how well nets learn from parts of a ranking.

Trains nets on windows of consecutive examples of a published ranking and on examples at its ends,
and tests them on the other split (section 4 of Carlini et al. 2019). If it ends early, the same
command trains the nets that are missing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.slice_flags import SlicesFlags
from ray_jobs.evaluations.slice_nets import make_nets
from ray_jobs.evaluations.slice_plan import WINDOW, Cut, SlicePlan, plan_slices
from ray_jobs.terminal.console import parse_flags
from scoring.allowed_nets import allow_nets
from scoring.analysis import windows
from scoring.analysis.seeds import mean_finding
from scoring.analysis.windows import NetResults
from scoring.arrays import Floats
from scoring.tables.findings import Finding

_SHOWN = ("test_accuracy", "crossing")
Results = Mapping[Cut, NetResults]


def main(argv: Sequence[str], command: str) -> int:
    """Train the nets that are missing, and test them all."""
    flags = parse_flags(SlicesFlags, argv, "protoscore evaluate slices", __doc__)
    flags.check()
    allow_nets([flags.net, *flags.allow_nets])
    snapshot = flags.snapshot()
    plan = plan_slices(flags, snapshot)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        make_nets(plan)
        for name, findings in _findings(plan).items():
            columns = dict.fromkeys((f.part, f.measure) for f in findings if f.measure in _SHOWN)
            evaluation.report(f"slices_{name}", findings, [*columns])
    return 0


def _findings(plan: SlicePlan) -> dict[str, list[Finding]]:
    """Return findings by the name to publish them under, leaving out names without any."""
    results, prototypical = _results(plan), plan.flags.prototypical
    of_windows = {cut: result for cut, result in results.items() if cut.end == WINDOW}
    of_ends = {cut: result for cut, result in results.items() if cut.end != WINDOW}
    by_name = {
        "windows": _accuracies(of_windows, prototypical) + _distances(plan),
        "ends": _accuracies(of_ends, prototypical) + _crossings(of_ends),
        "matrix": _matrix(of_windows),
    }
    return {name: findings for name, findings in by_name.items() if findings}


def _results(plan: SlicePlan) -> dict[Cut, NetResults]:
    """Return what the nets of each cut get right in the other split, as the metric ranks it."""
    staged = {run.key: plan.tested.read(plan.prediction(run)) for run in plan.runs}
    flags = plan.flags
    rankings = {
        metric: windows.ranking(
            plan.snapshot.scores(flags.other, metric), within_classes=flags.within_classes
        )
        for metric in dict.fromkeys(flags.metrics)
    }
    results = {}
    for cut, runs in plan.cuts.items():
        ranked = rankings[cut.metric]
        rows = np.searchsorted(staged[runs[0].key].ids, ranked.ids)
        right = [staged[run.key].value[rows] == ranked.labels for run in runs]
        results[cut] = NetResults(right=np.stack(right))
    return results


def _accuracies(results: Results, prototypical: float) -> list[Finding]:
    """Return accuracies on the whole other split and on its prototypical examples."""
    return [
        finding
        for cut, result in results.items()
        for finding in (
            result.accuracy(cut.subject, cut.part),
            result.prototype_accuracy(cut.subject, cut.part, prototypical),
        )
    ]


def _distances(plan: SlicePlan) -> list[Finding]:
    """Return mean distances from test examples to the boundaries of nets trained on windows."""
    findings = []
    for cut, runs in plan.cuts.items():
        means: dict[str, list[float]] = {}
        for run in runs if cut.end == WINDOW else ():
            for metric, distance in plan.distances(run).items():
                means.setdefault(metric, []).append(_mean(plan.sample.read(distance).value))
        findings += [
            mean_finding(cut.subject, cut.part, f"mean_{metric}", np.array(values))
            for metric, values in means.items()
        ]
    return findings


def _mean(values: Floats) -> float:
    """Return the mean of the values that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _crossings(results: Results) -> list[Finding]:
    """Return the number of examples from which on outliers teach more than prototypes."""
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for cut, result in results.items():
        curve = curves.setdefault(cut.ranking, {}).setdefault(cut.end, {})
        curve[int(cut.part)] = float(result.right.mean())
    return [
        Finding(
            subject=ranking,
            part="",
            measure="crossing",
            value=windows.crossing(by_end[windows.MOST], by_end[windows.LEAST]),
            rows=len(by_end[windows.MOST]),
        )
        for ranking, by_end in curves.items()
    ]


def _matrix(results: Results) -> list[Finding]:
    """Return accuracies, by window trained on, on each tenth of the other split."""
    return [
        finding
        for cut, result in results.items()
        for finding in result.accuracy_by_tenth(f"{cut.subject} trained on {cut.part}")
    ]
