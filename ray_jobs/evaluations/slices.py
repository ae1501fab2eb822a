"""`protoscore evaluate slices`: what a part of a ranking is worth to train on.

Nets are trained on consecutive examples of a published ranking and on those at its ends, and judged
on the examples of the other split (section 4 of Carlini et al. 2019). Each training is an artefact
like any other: the same command again makes what is missing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.slice_flags import SlicesFlags
from ray_jobs.evaluations.slice_nets import make_nets
from ray_jobs.evaluations.slice_plan import WINDOW, Cut, SlicePlan, plan_slices
from ray_jobs.terminal.console import parse_flags
from scoring.analysis import windows
from scoring.analysis.seeds import mean_finding
from scoring.analysis.windows import NetResults
from scoring.arrays import Floats
from scoring.tables.findings import Finding

_SHOWN = ("test_accuracy", "crossing")
Judges = Mapping[Cut, NetResults]


def main(argv: Sequence[str], command: str) -> int:
    """Train what is missing, and judge it."""
    flags = parse_flags(SlicesFlags, argv, "protoscore evaluate slices", __doc__)
    flags.check()
    snapshot = flags.snapshot()
    plan = plan_slices(flags, snapshot)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        make_nets(plan)
        for name, findings in _findings(plan).items():
            columns = dict.fromkeys((f.part, f.measure) for f in findings if f.measure in _SHOWN)
            evaluation.tell(f"slices_{name}", findings, [*columns])
    return 0


def _findings(plan: SlicePlan) -> dict[str, list[Finding]]:
    """Findings by what they are about; only those that there are any of."""
    judges, prototypical = _judges(plan), plan.flags.prototypical
    of_windows = {cut: judge for cut, judge in judges.items() if cut.end == WINDOW}
    ends = {cut: judge for cut, judge in judges.items() if cut.end != WINDOW}
    found = {
        "windows": _accuracies(of_windows, prototypical) + _distances(plan),
        "ends": _accuracies(ends, prototypical) + _crossings(ends),
        "matrix": _matrix(of_windows),
    }
    return {name: findings for name, findings in found.items() if findings}


def _judges(plan: SlicePlan) -> dict[Cut, NetResults]:
    """What the nets of each cut get right of the other split, as the metric ranks it."""
    told = {run.key: plan.judging.read(plan.predicting(run)) for run in plan.runs}
    flags = plan.flags
    rankings = {
        metric: windows.ranking(
            plan.snapshot.scores(flags.other, metric), within_classes=flags.within_classes
        )
        for metric in dict.fromkeys(flags.metrics)
    }
    found = {}
    for cut, runs in plan.cuts.items():
        ranked = rankings[cut.metric]
        rows = np.searchsorted(told[runs[0].key].ids, ranked.ids)
        right = [told[run.key].value[rows] == ranked.labels for run in runs]
        found[cut] = NetResults(right=np.stack(right))
    return found


def _accuracies(judges: Judges, prototypical: float) -> list[Finding]:
    return [
        finding
        for cut, judge in judges.items()
        for finding in (
            judge.accuracy(cut.subject, cut.part),
            judge.prototype_accuracy(cut.subject, cut.part, prototypical),
        )
    ]


def _distances(plan: SlicePlan) -> list[Finding]:
    """How far it is from test examples to the boundaries of nets trained on windows."""
    found = []
    for cut, runs in plan.cuts.items():
        means: dict[str, list[float]] = {}
        for run in runs if cut.end == WINDOW else ():
            for attack, how in plan.attacking(run).items():
                means.setdefault(attack, []).append(_mean(plan.sample.read(how).value))
        found += [
            mean_finding(cut.subject, cut.part, f"mean_{attack}", np.array(values))
            for attack, values in means.items()
        ]
    return found


def _mean(values: Floats) -> float:
    """Of those that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _crossings(ends: Judges) -> list[Finding]:
    """From how many examples on outliers are worth more than prototypes."""
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for cut, judge in ends.items():
        curve = curves.setdefault(cut.ranking, {}).setdefault(cut.end, {})
        curve[int(cut.part)] = float(judge.right.mean())
    return [
        Finding(
            subject=ranking,
            part="",
            measure="crossing",
            value=windows.crossing(of_end[windows.MOST], of_end[windows.LEAST]),
            rows=len(of_end[windows.MOST]),
        )
        for ranking, of_end in curves.items()
    ]


def _matrix(windows: Judges) -> list[Finding]:
    """Accuracy on each tenth of the other split of nets trained on each window."""
    return [
        finding
        for cut, judge in windows.items()
        for finding in judge.accuracy_by_tenth(f"{cut.subject} trained on {cut.part}")
    ]
