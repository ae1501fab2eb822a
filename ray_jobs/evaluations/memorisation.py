"""`protoscore evaluate memorisation`: do scores find labels that were changed on purpose?

A share of the training labels is drawn anew. One night trains as usual, before the noise is learnt;
another until every label is known by heart. Each metric is judged on both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.data_flags import DataFlags
from ray_jobs.evaluations.nights import name_of, run_nights
from ray_jobs.evaluations.output import tell
from ray_jobs.flags import NightFlags, parse
from ray_jobs.plan import Plan
from scoring.analysis import memorisation
from scoring.analysis.memorisation import Judged
from scoring.analysis.scores import read_scores
from scoring.data.altered import Relabelled
from scoring.errors import UserError
from scoring.runs import load_records
from scoring.tables import Store
from scoring.tables.evaluations import Finding

_SHOWN = ("auroc", "precision_at_changed", "welch_t", "welch_p")


@dataclass(frozen=True, kw_only=True)
class MemorisationFlags(NightFlags):
    """A night's flags, and the recipes of both nights."""

    before: str = "quick"
    """Recipe of the night before the noise is learnt."""
    after: str = "memorise"
    """Recipe of the night that learns every label."""
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
        if self.fleet.recipe not in ("", self.before, self.after):
            raise UserError("--recipe: expected --before and --after in place of it, got it")


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
    found = []
    for stage, night in zip(stages, run_nights(nights, configs, command), strict=True):
        found += (accuracies := _accuracy(stage, night))
        for accuracy in accuracies:
            print(f"base model, {stage}: {accuracy.measure} {accuracy.value:.4f}")
        for metric in night.asked.metrics:
            found += memorisation.findings(metric.name, stage, _judged(night, metric.name))
    columns = [(stage, measure) for stage in stages for measure in _SHOWN]
    tell(night.asked.storage, name, "memorisation", found, columns, command)
    return 0


def _accuracy(stage: str, night: Plan) -> list[Finding]:
    """How well the base model knows the labels that it was given."""
    (run,) = (r for r in night.runs if r.spec == night.models.fleet.base)
    (record,) = load_records(night.asked.storage, [run.key])
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


def _judged(night: Plan, metric: str) -> Judged:
    store = Store(night.asked.storage.uri)
    scores = read_scores(store, night.asked.publish_as, "train", metric)
    order = np.argsort(scores.ids)
    labelled = scores.label[order] >= 0
    rows = order[labelled]
    return Judged(
        value=scores.table["value"].to_numpy()[rows],
        percentile=scores.percentile[rows],
        changed=_changed(night)[labelled],
    )


def _changed(night: Plan) -> np.ndarray:
    """Whose label was changed, in order of example id."""
    source, survey = night.asked.source, night.surveys["train"]
    assert isinstance(source, Relabelled)
    classes = len(survey.layout.classes)
    shards = sorted(survey.shards, key=lambda shard: shard.first_id)
    return np.concatenate([source.changed(shard.piece, classes) for shard in shards])
