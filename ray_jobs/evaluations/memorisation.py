"""Find whether metrics find labels that were changed on purpose.

A share of the training labels is changed (--relabel, --relabel-classes). One night trains as usual
and stops before nets learn the noise; another trains until they know every label by heart. Every
metric is evaluated on both nights, and so are the verdict (`protoscore issues`) and the sets of
`protoscore evaluate sets`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.evaluations.judged_labels import judged_labels, judged_lines
from ray_jobs.evaluations.run_nights import name_of, prepare, run_nights
from ray_jobs.night.plan import Plan
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import NightFlags, parse
from ray_jobs.terminal.say import say
from scoring.analysis import changed_labels
from scoring.analysis.changed_labels import ScoredRows
from scoring.analysis.example_sets import Cuts, Evidence, class_percentiles, example_sets
from scoring.analysis.joined_scores import read_joined_scores
from scoring.analysis.score_table import read_scores
from scoring.analysis.snapshot import take_snapshot
from scoring.arrays import Bools, Ints
from scoring.data.altered import Relabelled
from scoring.errors import UserError
from scoring.runs.record import load_records
from scoring.tables import Store
from scoring.tables.findings import Finding

_SHOWN = ("auroc", "average_precision", "precision", "recall")


@dataclass(frozen=True, kw_only=True)
class MemorisationFlags(NightFlags):
    """The flags of a night, and the recipes of both nights."""

    before: str = "quick"
    """Recipe of the night that stops before nets learn the noise."""
    after: str = "memorise"
    """Recipe of the night that learns every label."""
    lowest: float = 0.05
    """Share of the examples, the most outlying, to report precision and recall of."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(
        default_factory=lambda: DataFlags(relabel=0.2, limit_train=10_000, limit_test=2000)
    )

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        super().check()
        if not self.data.relabel:
            raise UserError("--relabel: expected a share above 0, got 0")
        if not 0 < self.lowest <= 1:
            raise UserError(f"--lowest: expected a share above 0 and up to 1, got {self.lowest}")
        if self.fleet.recipe:
            raise UserError(
                f"--recipe: expected --before and --after instead, got --recipe {self.fleet.recipe}"
            )


@dataclass(frozen=True, kw_only=True)
class ChangedLabels:
    """Whether the labels of N training examples were changed."""

    ids: Ints
    """[N] ascending."""
    changed: Bools
    """[N]."""

    def lookup(self, ids: Ints) -> Bools:
        """Return whether the labels of K examples, given by id, were changed."""
        return self.changed[np.searchsorted(self.ids, ids)]


def main(argv: Sequence[str], command: str) -> int:
    """Run both nights and evaluate them."""
    flags, configs = parse(
        argv, "protoscore evaluate memorisation", __doc__ or "", MemorisationFlags
    )
    flags.check()
    name = name_of(flags)
    stages = {"before": flags.before, "after": flags.after}
    nights = [
        replace(
            flags,
            publish_as=f"{name}-memorisation-{stage}",
            splits=("train",),
            fleet=replace(flags.fleet, recipe=recipe),
        )
        for stage, recipe in stages.items()
    ]
    requests = prepare(nights, configs)
    with evaluating(requests[0].storage, name, command) as evaluation:
        plans = dict(zip(stages, run_nights(requests, command), strict=True))
        _evaluate(evaluation, flags, plans)
    return 0


def _evaluate(evaluation: Evaluation, flags: MemorisationFlags, plans: Mapping[str, Plan]) -> None:
    findings = []
    for stage, plan in plans.items():
        accuracies = _accuracies(stage, plan)
        for accuracy in accuracies:
            say(f"base model, {stage}: {accuracy.measure} {accuracy.value:.4f}")
        labels = _changed_labels(plan)
        findings += accuracies
        for metric in plan.request.metrics:
            rows = _scored_rows(plan, metric.name, labels)
            findings += changed_labels.findings(metric.name, stage, rows, flags.lowest)
        findings += judged_labels(plan, stage, labels.ids, labels.changed)
        findings += _sets(plan, stage, labels)
    columns = [(stage, measure) for stage in plans for measure in _SHOWN]
    for line in judged_lines(findings):
        say(line)
    evaluation.report("memorisation", findings, columns)


def _accuracies(stage: str, plan: Plan) -> list[Finding]:
    """Return how well the base model, if metrics need it, knows the labels that it was given."""
    keys = [run.key for run in plan.runs if run.spec == plan.models.fleet.base]
    return [
        Finding(
            subject="base model",
            part=stage,
            measure=measure,
            value=float("nan") if value is None else value,
            rows=record.rows,
        )
        for record in load_records(plan.request.storage, keys)
        for measure, value in (
            ("train_accuracy", record.train_accuracy),
            ("test_accuracy", record.test_accuracy),
        )
    ]


def _scored_rows(plan: Plan, metric: str, labels: ChangedLabels) -> ScoredRows:
    """Read a metric's scores of the labelled training examples."""
    store = Store(plan.request.storage.uri)
    scores = read_scores(store, plan.request.publish_as, "train", metric)
    labelled = scores.label >= 0
    return ScoredRows(
        value=scores.table["value"].to_numpy()[labelled],
        percentile=scores.percentile[labelled],
        changed=labels.lookup(scores.ids[labelled]),
    )


def _sets(plan: Plan, stage: str, labels: ChangedLabels) -> list[Finding]:
    """Find changed labels among the example sets, if the metrics they need were scored."""
    evidence = Evidence()
    if not {*evidence.metrics} <= {metric.name for metric in plan.request.metrics}:
        return []
    snapshot = take_snapshot(plan.request.storage.uri, plan.request.publish_as)
    scores = read_joined_scores(snapshot, "train", evidence.metrics)
    sets = example_sets(class_percentiles(scores, evidence), Cuts())
    return changed_labels.findings_of_sets(sets, stage, labels.lookup(scores.ids))


def _changed_labels(plan: Plan) -> ChangedLabels:
    """Ask the source which training labels it changed."""
    source, survey = plan.request.source, plan.situation.surveys["train"]
    assert isinstance(source, Relabelled)
    shards = sorted(survey.shards, key=lambda shard: shard.first_id)
    ids = [np.arange(s.first_id, s.first_id + s.rows) for s in shards]
    changed = [source.changed(shard.piece)[shard.taken] for shard in shards]
    return ChangedLabels(ids=np.concatenate(ids), changed=np.concatenate(changed))
