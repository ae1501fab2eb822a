"""Find whether metrics tell corrupted images from clean ones.

Runs two nights: one of the dataset as it is, which trains, and one whose test split also holds
every image under the fifteen corruptions of MNIST-C. For comparison, novelty detectors that need no
classifier are fitted to the training images. That outlying means out of distribution is fixed
beforehand.
"""

from collections.abc import Mapping, Sequence
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

_MOST_VALUES = 4096  # per image, because detectors hold covariances of its pixels


@dataclass(frozen=True, kw_only=True)
class OodFlags(NightFlags):
    """The flags of a night, and the detectors to compare metrics with."""

    metrics: tuple[str, ...] = detection.DEFAULT_METRICS
    """Metrics to evaluate. Those that need no label are the most telling."""
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Novelty detectors to compare with; for none, give the flag without a name."""
    fit_rows: int = 5000
    """Number of training images to fit detectors to."""
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
    """Run both nights and the detectors, and evaluate them."""
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
    scores = {metric: _metric_scores(plan, metric) for metric in flags.metrics}
    scores |= novelty_scores(plan, flags.detectors, flags.fit_rows)
    ids_by_corruption = _ids_by_corruption(plan)
    findings = []
    for name, (ids, values) in scores.items():
        findings += _findings(name, ids, values, ids_by_corruption)
    columns = [(detection.MEAN, measure) for measure in detection.MEASURES]
    columns += [(name, "auroc") for name in ids_by_corruption if name != CLEAN]
    evaluation.report("ood", findings, columns)


def _refuse_large(request: Request, flags: OodFlags) -> None:
    """Refuse images that are too large for detectors."""
    values = survey_splits(request)["train"].layout.shape.nbytes
    if flags.detectors and values > _MOST_VALUES:
        raise UserError(
            f"--detectors: expected images of at most {_MOST_VALUES} values, got {values}; pass "
            "--detectors without a name, or --image-size"
        )


def _ids_by_corruption(plan: Plan) -> dict[str, Ints]:
    """Return the ids of the test images under each corruption, and of the clean ones."""
    ranges: dict[str, list[Ints]] = {}
    for shard in plan.situation.surveys["test"].shards:
        ids = np.arange(shard.first_id, shard.first_id + shard.rows)
        ranges.setdefault(corruption_of(shard.piece), []).append(ids)
    return {name: np.concatenate(ids) for name, ids in ranges.items()}


def _metric_scores(plan: Plan, metric: str) -> tuple[Ints, Floats]:
    """Read ids and values of the test images, turned so that high = outlying."""
    store = Store(plan.request.storage.uri)
    scores = read_scores(store, plan.request.publish_as, "test", metric)
    values = registry.metric(metric).oriented(scores.table["value"].to_numpy())
    return scores.ids, -values


def _findings(
    detector: str, ids: Ints, values: Floats, ids_by_corruption: Mapping[str, Ints]
) -> list[Finding]:
    """Evaluate the values of a metric or detector on each corruption."""
    order = np.argsort(ids)
    ids, values = ids[order], values[order]
    corrupted = {
        name: values[np.searchsorted(ids, wanted)] for name, wanted in ids_by_corruption.items()
    }
    clean = corrupted.pop(CLEAN)
    return detection.findings(detector, clean, corrupted)
