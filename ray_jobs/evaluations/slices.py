"""`protoscore evaluate slices`: what a part of a ranking is worth to train on.

Nets are trained on consecutive examples of a published ranking and on those at its ends, and judged
on the examples of the other split (section 4 of Carlini et al. 2019). Each training is an artefact
like any other: the same command again makes what is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ray_jobs.console import parse_flags
from ray_jobs.evaluations.output import tell
from ray_jobs.evaluations.slice_flags import SlicesFlags
from ray_jobs.evaluations.slice_nets import Nets, make_nets, plan_nets
from scoring.analysis import slices
from scoring.analysis.slices import Judge
from scoring.analysis.snapshot import Snapshot
from scoring.data.texts import TextShape
from scoring.errors import UnknownName, UserError
from scoring.keys import SPLITS, Split
from scoring.tables.evaluations import Finding

_SHOWN = ("test_accuracy", "crossing")


def main(argv: Sequence[str], command: str) -> int:
    """Train what is missing, and judge it."""
    flags = parse_flags(SlicesFlags, argv, "protoscore evaluate slices", __doc__)
    flags.check()
    snapshot = flags.snapshot()
    if isinstance(snapshot.current(flags.split).shape, TextShape) and flags.robustness:
        raise UserError(
            f"--robustness: expected none for texts, got {flags.robustness[0]}; pass the flag "
            "without a name"
        )
    _refuse_unpublished(flags, snapshot)
    nets = plan_nets(flags, snapshot)
    make_nets(nets, command)
    judges = _judges(nets, snapshot, flags.other)
    found = {
        "windows": _of_windows(nets, judges, flags),
        "ends": _of_ends(nets, judges, flags),
        "matrix": _matrix(judges),
    }
    for name, findings in found.items():
        if findings:
            columns = dict.fromkeys((f.part, f.measure) for f in findings if f.measure in _SHOWN)
            about = f"slices_{name}"
            tell(snapshot.storage, snapshot.dataset, about, findings, [*columns], command)
    return 0


def _refuse_unpublished(flags: SlicesFlags, snapshot: Snapshot) -> None:
    """Both splits must be ranked, and as they are now."""
    for split in SPLITS:
        known = sorted(m for s, m in snapshot.manifests if s == split)
        for metric in flags.metrics:
            if metric not in known:
                raise UnknownName(f"--metrics of {split}", metric, known)
            if snapshot.manifests[split, metric].dataset_version != snapshot.current(split).version:
                raise UserError(
                    f"--metrics: expected scores of the newest {split} examples, got {metric} of "
                    "earlier ones; run rescore"
                )


Group = tuple[str, str, str, str]
"""Kind of slice, metric, subject and part."""


def _judges(nets: Nets, snapshot: Snapshot, other: Split) -> dict[Group, Judge]:
    """For each slice and way of training, what all its nets get right."""
    found: dict[Group, list[npt.NDArray[Any]]] = {}
    tests = {}
    for metric in dict.fromkeys(one.metric for one in nets.trained):
        scores = snapshot.scores(other, metric)
        rows = np.flatnonzero((scores.rank >= 0) & (scores.label >= 0))
        tests[metric] = (scores, rows[np.argsort(scores.ids[rows])])
    predicted = nets.predicted()
    for one in nets.trained:
        scores, rows = tests[one.metric]
        ids, classes = predicted[one.run.key]
        at = np.searchsorted(ids, scores.ids[rows])
        group = one.kind, one.metric, one.subject, one.part
        found.setdefault(group, []).append(classes[at] == scores.label[rows])
    return {
        group: Judge(right=np.stack(right), rank=tests[group[1]][0].rank[tests[group[1]][1]])
        for group, right in found.items()
    }


def _of_windows(nets: Nets, judges: Mapping[Group, Judge], flags: SlicesFlags) -> list[Finding]:
    found = [
        finding
        for (kind, _, subject, part), judge in judges.items()
        if kind == "window"
        for finding in (
            judge.accuracy(subject, part),
            judge.of_prototypes(subject, part, flags.prototypical),
        )
    ]
    for attack in flags.robustness:
        distances = nets.distances(attack)
        groups: dict[tuple[str, str], list[float]] = {}
        for one in nets.attacked:
            groups.setdefault((one.subject, one.part), []).append(distances[one.run.key])
        found += [
            slices.over_nets(subject, part, f"mean_{attack}", np.array(values))
            for (subject, part), values in groups.items()
        ]
    return found


def _of_ends(nets: Nets, judges: Mapping[Group, Judge], flags: SlicesFlags) -> list[Finding]:
    found, curves = [], {}
    for (kind, _, subject, part), judge in judges.items():
        if kind == "end":
            accuracy = judge.accuracy(subject, part)
            found += [accuracy, judge.of_prototypes(subject, part, flags.prototypical)]
            curves.setdefault(subject, {})[int(part)] = accuracy.value
    for stem in dict.fromkeys(one.stem for one in nets.trained if one.kind == "end"):
        most, least = (curves[f"{stem} {end}"] for end in (slices.MOST, slices.LEAST))
        found.append(
            Finding(
                subject=stem,
                part="",
                measure="crossing",
                value=slices.crossing(most, least),
                rows=len(most),
            )
        )
    return found


def _matrix(judges: Mapping[Group, Judge]) -> list[Finding]:
    """Accuracy on each tenth of the other split of nets trained on each window."""
    return [
        finding
        for (kind, _, subject, part), judge in judges.items()
        if kind == "window"
        for finding in judge.by_tenths(f"{subject} trained on {part}")
    ]
