"""`protoscore evaluate memorisation`: do scores find labels that were changed on purpose?

A share of the training labels is drawn anew. One night trains as usual, before the noise is learnt;
another until every label is known by heart. Each metric is judged on both, and so are the sets of
`protoscore evaluate sets`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.evaluations.run_nights import name_of, prepare, run_nights
from ray_jobs.night.plan import Plan
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import NightFlags, parse
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

_SHOWN = ("auroc", "precision_at_changed", "precision", "recall")


@dataclass(frozen=True, kw_only=True)
class MemorisationFlags(NightFlags):
    """A night's flags, and the recipes of both nights."""

    before: str = "quick"
    """Recipe of the night before the noise is learnt."""
    after: str = "memorise"
    """Recipe of the night that learns every label."""
    lowest: float = 0.05
    """Share of the examples, the most outlying, of which precision and recall are told."""
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
                f"--recipe: expected --before and --after in place of it, got {self.fleet.recipe}"
            )


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Whose label was changed."""

    ids: Ints
    """[N] ascending."""
    flags: Bools
    """[N]."""

    def of(self, ids: Ints) -> Bools:
        """Of some examples [K]."""
        return self.flags[np.searchsorted(self.ids, ids)]


def main(argv: Sequence[str], command: str) -> int:
    """Run both nights and judge them."""
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
    found = []
    for stage, plan in plans.items():
        found += (accuracies := _accuracy(stage, plan))
        for accuracy in accuracies:
            print(f"base model, {stage}: {accuracy.measure} {accuracy.value:.4f}")
        changed = _changed(plan)
        for metric in plan.request.metrics:
            judged = _judged(plan, metric.name, changed)
            found += changed_labels.findings(metric.name, stage, judged, flags.lowest)
        found += _sets(plan, stage, changed)
    columns = [(stage, measure) for stage in plans for measure in _SHOWN]
    evaluation.tell("memorisation", found, columns)


def _accuracy(stage: str, plan: Plan) -> list[Finding]:
    """How well the base model knows the labels that it was given."""
    (run,) = (r for r in plan.runs if r.spec == plan.models.fleet.base)
    (record,) = load_records(plan.request.storage, [run.key])
    return [
        Finding(
            subject="base model",
            part=stage,
            measure=measure,
            value=float("nan") if value is None else value,
            rows=record.rows,
        )
        for measure, value in (
            ("train_accuracy", record.train_accuracy),
            ("test_accuracy", record.test_accuracy),
        )
    ]


def _judged(plan: Plan, metric: str, changed: Changed) -> ScoredRows:
    store = Store(plan.request.storage.uri)
    scores = read_scores(store, plan.request.publish_as, "train", metric)
    labelled = scores.label >= 0
    return ScoredRows(
        value=scores.table["value"].to_numpy()[labelled],
        percentile=scores.percentile[labelled],
        changed=changed.of(scores.ids[labelled]),
    )


def _sets(plan: Plan, stage: str, changed: Changed) -> list[Finding]:
    """What the sets hold, where the metrics that tell them apart were scored."""
    evidence = Evidence()
    if not {*evidence.metrics} <= {metric.name for metric in plan.request.metrics}:
        return []
    snapshot = take_snapshot(plan.request.storage.uri, plan.request.publish_as)
    told = read_joined_scores(snapshot, "train", evidence.metrics)
    sets = example_sets(class_percentiles(told, evidence), Cuts())
    return changed_labels.findings_of_sets(sets, stage, changed.of(told.ids))


def _changed(plan: Plan) -> Changed:
    source, survey = plan.request.source, plan.situation.surveys["train"]
    assert isinstance(source, Relabelled)
    classes = len(survey.layout.classes)
    shards = sorted(survey.shards, key=lambda shard: shard.first_id)
    ids = [np.arange(s.first_id, s.first_id + s.piece.rows) for s in shards]
    flags = [source.changed(shard.piece, classes) for shard in shards]
    return Changed(ids=np.concatenate(ids), flags=np.concatenate(flags))
