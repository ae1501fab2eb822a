"""`protoscore evaluate ood`: do scores tell corrupted images from clean ones?

Two nights: one of the dataset as it is, which trains, and one whose test split also holds each
image under the fifteen corruptions of MNIST-C. Novelty detectors that know no classifier are
fitted to the training images for comparison. High = out of distribution is fixed beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.evaluations.novelty_scores import novelty_scores
from ray_jobs.evaluations.run_nights import name_of, prepare, run_nights
from ray_jobs.night.plan import Plan
from ray_jobs.night.request import Request, survey_splits
from ray_jobs.terminal.data_flags import DataFlags
from ray_jobs.terminal.night_flags import FleetFlags, NightFlags, parse
from scoring import registry
from scoring.analysis import detection
from scoring.analysis.novelty import DETECTORS
from scoring.analysis.score_table import read_scores
from scoring.arrays import Floats, Ints
from scoring.data.altered import CLEAN, corruption_of
from scoring.errors import UnknownName, UserError
from scoring.tables import Store
from scoring.tables.findings import Finding

_MOST_VALUES = 4096  # of an image: covariances of its pixels are held


@dataclass(frozen=True, kw_only=True)
class OodFlags(NightFlags):
    """A night's flags, and what its metrics are compared with."""

    metrics: tuple[str, ...] = detection.DEFAULT_METRICS
    """Metrics to judge; those that need no label say most."""
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Novelty detectors to compare with; none: pass the flag without a name."""
    fit_rows: int = 5000
    """Training images that detectors are fitted to."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = field(
        default_factory=lambda: DataFlags(corrupted_copies=True)
    )
    fleet: tyro.conf.OmitArgPrefixes[FleetFlags] = field(
        default_factory=lambda: FleetFlags(net="lenet5", recipe="paper_mnist")
    )

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        super().check()
        for name in self.detectors:
            if name not in DETECTORS:
                raise UnknownName("--detectors", name, DETECTORS)
        if self.fit_rows <= 0:
            raise UserError(f"--fit-rows: expected a number above 0, got {self.fit_rows}")


def main(argv: Sequence[str], command: str) -> int:
    """Run both nights and the detectors, and judge them."""
    flags, configs = parse(argv, "protoscore evaluate ood", __doc__ or "", OodFlags)
    flags.check()
    name = name_of(flags)
    clean = replace(flags.data, corrupted_copies=False)
    corrupted = replace(flags.data, corrupted_copies=True)
    nights = [
        replace(flags, data=clean, publish_as=f"{name}-ood-clean", splits=("test",)),
        replace(flags, data=corrupted, publish_as=f"{name}-ood", splits=("test",)),
    ]
    requests = prepare(nights, configs)
    _refuse_large(requests[0], flags)
    with evaluating(requests[0].storage, name, command) as evaluation:
        _, plan = run_nights(requests, command)
        _evaluate(evaluation, flags, plan)
    return 0


def _evaluate(evaluation: Evaluation, flags: OodFlags, plan: Plan) -> None:
    kinds = _kinds(plan)
    found = []
    for metric in flags.metrics:
        ids, values = _of_metric(plan, metric)
        found += _judge(metric, ids, values, kinds)
    for detector, (ids, values) in novelty_scores(plan, flags.detectors, flags.fit_rows).items():
        found += _judge(detector, ids, values, kinds)
    columns = [(detection.MEAN, measure) for measure in detection.MEASURES]
    columns += [(kind, "auroc") for kind in kinds if kind != CLEAN]
    evaluation.tell("ood", found, columns)


def _refuse_large(request: Request, flags: OodFlags) -> None:
    values = survey_splits(request)["train"].layout.shape.nbytes
    if flags.detectors and values > _MOST_VALUES:
        raise UserError(
            f"--detectors: expected images of at most {_MOST_VALUES} values for detectors on "
            f"pixels, got {values}; pass --detectors without a name, or --image-size"
        )


def _kinds(plan: Plan) -> dict[str, Ints]:
    """Ids of the test rows under each corruption, and of the clean ones."""
    ranges: dict[str, list[Ints]] = {}
    for shard in plan.situation.surveys["test"].shards:
        ids = np.arange(shard.first_id, shard.first_id + shard.piece.rows)
        ranges.setdefault(corruption_of(shard.piece), []).append(ids)
    return {kind: np.concatenate(ids) for kind, ids in ranges.items()}


def _of_metric(plan: Plan, metric: str) -> tuple[Ints, Floats]:
    """Ids of the test rows and their values, turned so that high = outlying."""
    store = Store(plan.request.storage.uri)
    scores = read_scores(store, plan.request.publish_as, "test", metric)
    values = registry.metric(metric).oriented(scores.table["value"].to_numpy())
    return scores.ids, -values


def _judge(name: str, ids: Ints, values: Floats, kinds: dict[str, Ints]) -> list[Finding]:
    order = np.argsort(ids)
    ids, values = ids[order], values[order]
    of_kind = {kind: values[np.searchsorted(ids, rows)] for kind, rows in kinds.items()}
    clean = of_kind.pop(CLEAN)
    return detection.findings(name, clean, of_kind)
