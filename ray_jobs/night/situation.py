"""What a night starts from: the source, the store and the fleet, read from metadata alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product

from ray_jobs.night.applicable import applicable
from ray_jobs.night.choose_fleet import choose_fleet
from ray_jobs.night.models import ChosenFleet
from ray_jobs.night.request import Request, check_versions, survey_splits
from scoring.data.ingest import PlannedShard, Survey
from scoring.data.sources import Layout
from scoring.errors import PublishedDiffers
from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.runs.fleet import BY_LABELS
from scoring.spec import Metric, Signal
from scoring.store.keys import SPLITS, Split
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import published

_PENALTY = "representer-lambda"
_ASSUMED = {_PENALTY: str(BY_LABELS.penalty), "folds": "none"}
"""Values of settings that a manifest does not hold. Older manifests hold none of them."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a night starts from."""

    request: Request
    """The request, limited to metrics that apply to these examples and this net."""
    left_out: tuple[str, ...]
    """Names of the other metrics, none of which the user named."""
    surveys: Mapping[Split, Survey]
    published: Mapping[Partition, Manifest]
    """The published partitions of the dataset, lost ones included."""
    fleet: ChosenFleet

    @property
    def layout(self) -> Layout:
        """Classes and shape of the examples."""
        return self.surveys["train"].layout

    @property
    def to_ingest(self) -> tuple[PlannedShard, ...]:
        """Pieces of the source that no job has ingested."""
        return tuple(shard for split in SPLITS for shard in self.surveys[split].missing)

    @property
    def rows(self) -> int:
        """Number of examples in both splits."""
        return sum(survey.rows for survey in self.surveys.values())

    def partition(self, split: Split, metric: Metric) -> Partition:
        """Return the partition of `scores` that holds a metric's scores on a split."""
        return Partition(self.request.publish_as, split, metric.name)

    def settings(self, metric: Metric) -> dict[str, str]:
        """Return the settings that a metric's partitions are made with, by flag."""
        request, name = self.request, metric.name
        config = asdict(request.configs[name])
        limits = {split: request.flags.data.limit(split) for split in SPLITS}
        penalty = str(request.flags.fleet.representer_lambda)
        changed = metric.signal is Signal.REPRESENTER and penalty != _ASSUMED[_PENALTY]
        return {
            "dataset": request.source.name,
            **self.fleet.settings,
            **{f"limit-{split}": str(limit or "none") for split, limit in limits.items()},
            **{f"{name}.{field}".replace("_", "-"): str(v) for field, v in config.items()},
            **({_PENALTY: penalty} if changed else {}),
        }

    def signals(self) -> set[Signal]:
        """Return the signals whose runs must exist: those of the metrics and of the predictions."""
        return {*(metric.signal for metric in self.request.metrics), self.prediction_signal}

    @property
    def computed(self) -> tuple[Metric, ...]:
        """What is computed on every shard: the metrics, and what is published besides them."""
        request, besides = self.request, [PREDICTED]
        if request.probabilities and self.prediction_signal is Signal.ENSEMBLE:
            besides.append(PROBABILITIES)
        return (*request.metrics, *besides)

    @property
    def prediction_signal(self) -> Signal:
        """The ensemble if a metric reads it, else the base run: what classes are predicted by."""
        ensemble = any(metric.signal is Signal.ENSEMBLE for metric in self.request.metrics)
        return Signal.ENSEMBLE if ensemble else Signal.BASE


def assess(request: Request) -> Situation:
    """Read the source and the store as far as planning needs. Reads metadata and makes nothing.

    Raises:
        PublishedDiffers: a published partition was made with other settings.
        UserError: the source cannot be used; an unknown fleet, net or recipe; a published fleet
            that was trained on other classes or shapes; a metric that does not apply.
    """
    current = published(request.storage, dataset=request.publish_as)
    ours = [m for m in current.values() if m.settings.get("dataset") == request.source.name]
    check_versions(request, ours)
    surveys = survey_splits(request)
    fleet = choose_fleet(
        request.flags.fleet,
        surveys=surveys,
        storage=request.storage,
        published=ours,
    )
    metrics = applicable(request, surveys["train"].layout, fleet)
    situation = Situation(
        request=replace(request, metrics=metrics),
        left_out=tuple(metric.name for metric in request.metrics if metric not in metrics),
        surveys=surveys,
        published=current,
        fleet=fleet,
    )
    if not request.flags.replace:
        _refuse_other_settings(situation)
    return situation


def _refuse_other_settings(situation: Situation) -> None:
    """Refuse to replace a partition that was made with other settings."""
    for split, metric in product(situation.request.splits, situation.request.metrics):
        before = situation.published.get(situation.partition(split, metric))
        if before is None:
            continue
        settings = situation.settings(metric)
        for flag, value in (settings | {**_ASSUMED, **settings}).items():
            if (expected := before.settings.get(flag, _ASSUMED.get(flag, value))) != value:
                raise PublishedDiffers(
                    f"--{flag}: expected {expected}, as {before.partition} was published with, "
                    f"got {value}; pass --replace to publish over it, or --as NAME to publish "
                    "next to it"
                )
