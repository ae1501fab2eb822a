"""What a night starts from, as far as metadata tells: the source, the store and the fleet."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from ray_jobs.night.applicable import applicable
from ray_jobs.night.choose_fleet import choose_fleet
from ray_jobs.night.models import ChosenFleet
from ray_jobs.night.request import Request, survey_splits
from scoring.data.ingest import PlannedShard, Survey
from scoring.data.sources import Layout
from scoring.errors import PublishedDiffers
from scoring.spec import Metric, Signal
from scoring.store.keys import SPLITS, Split
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import published


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a night starts from."""

    request: Request
    """Limited to the metrics that apply to these examples and this net."""
    left_out: tuple[str, ...]
    """Metrics that do not apply and that nobody named."""
    surveys: Mapping[Split, Survey]
    published: Mapping[Partition, Manifest]
    fleet: ChosenFleet

    @property
    def layout(self) -> Layout:
        """Classes and shape of the examples."""
        return self.surveys["train"].layout

    @property
    def to_ingest(self) -> tuple[PlannedShard, ...]:
        """Pieces of the source that no night has ingested."""
        return tuple(shard for split in SPLITS for shard in self.surveys[split].missing)

    @property
    def rows(self) -> int:
        """Examples of both splits."""
        return sum(survey.rows for survey in self.surveys.values())

    def partition(self, split: Split, metric: Metric) -> Partition:
        """The partition of `scores` that a metric's scores on a split become."""
        return Partition(self.request.publish_as, split, metric.name)

    def settings(self, metric: Metric) -> dict[str, str]:
        """What a partition is made with, by the flags that set it."""
        request, name = self.request, metric.name
        config = asdict(request.configs[name])
        limits = {split: request.flags.data.limit(split) for split in SPLITS}
        return {
            "dataset": request.source.name,
            **self.fleet.settings,
            **{f"limit-{split}": str(limit or "none") for split, limit in limits.items()},
            **{f"{name}.{field}".replace("_", "-"): str(v) for field, v in config.items()},
        }

    def signals(self) -> set[Signal]:
        """Signals whose runs must exist: those of the metrics and of the predictions."""
        return {*(metric.signal for metric in self.request.metrics), self.prediction_signal}

    @property
    def prediction_signal(self) -> Signal:
        """Predictions come from the ensemble, or from the base run where there is none."""
        ensemble = any(metric.signal is Signal.ENSEMBLE for metric in self.request.metrics)
        return Signal.ENSEMBLE if ensemble else Signal.BASE


def look(request: Request) -> Situation:
    """Look at the source and the store. Reads metadata alone and makes nothing.

    Raises:
        PublishedDiffers: a published partition was made with other settings.
        UserError: the source cannot be used; an unknown fleet, net or recipe; a published fleet
            made for other classes or images; a metric that does not apply.
    """
    surveys = survey_splits(request)
    current = published(request.storage)
    fleet = choose_fleet(
        request.flags.fleet,
        surveys=surveys,
        storage=request.storage,
        published=[m for p, m in current.items() if p.dataset == request.publish_as],
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
        _refuse_other_settings(situation, request.splits)
    return situation


def _refuse_other_settings(situation: Situation, splits: Iterable[Split]) -> None:
    for split in splits:
        for metric in situation.request.metrics:
            before = situation.published.get(situation.partition(split, metric))
            settings = situation.settings(metric) if before else {}
            for flag, value in settings.items():
                if before and before.settings.get(flag, value) != value:
                    raise PublishedDiffers(
                        f"--{flag}: expected {before.settings[flag]}, with which "
                        f"{before.partition} was published, got {value}; pass --replace to publish "
                        "over it, or --as NAME to publish next to it"
                    )
