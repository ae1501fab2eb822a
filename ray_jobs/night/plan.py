"""What should exist after a night, and what of it is missing: the one idea of protoscore.

Every artefact is named by the hash of what made it, so a plan is the list of names that a command
line asks for, compared with the names that the store holds. Planning makes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ray_jobs.night.applicable import suited
from ray_jobs.night.models import Models, choose_models
from ray_jobs.night.request import Request, survey_splits
from scoring.data.ingest import PlannedShard, Survey, assemble
from scoring.data.versions import DatasetVersion
from scoring.errors import BadData, PublishedDiffers
from scoring.folds.prediction import PREDICTED
from scoring.runs.record import Run, finished
from scoring.score.scorer import Assignment, RunRef, Task, score_key
from scoring.spec import MetricSpec, Signal
from scoring.store.keys import SPLITS, Split, digest
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import published

RANKING_VERSION = 1
Surveys = Mapping[Split, Survey]
Versions = Mapping[Split, DatasetVersion]
Published = Mapping[Partition, Manifest]


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """A shard and the tasks it should have; `missing` are those not staged yet."""

    split: Split
    shard: PlannedShard
    tasks: tuple[Task, ...]
    missing: tuple[Task, ...]

    def key(self, metric: str) -> str:
        """Name of the staged scores of one metric."""
        return next(task.key for task in self.tasks if task.assignment.metric == metric)


@dataclass(frozen=True, kw_only=True)
class PartitionPlan:
    """A partition of the `scores` table as it should become."""

    partition: Partition
    split: Split
    spec: MetricSpec
    key: str
    """Hash of all it is made of; empty while a shard is not ingested."""
    settings: Mapping[str, str]
    """What must not change in silence."""
    runs: tuple[Run, ...]
    changed: bool
    """Not what is published."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A night: its data, its runs, its shards and its partitions."""

    asked: Request
    surveys: Surveys
    versions: Versions
    """Today's versions; empty while pieces are missing."""
    published: Published
    models: Models
    runs: tuple[Run, ...]
    """Every run the night reads, parents first; without keys while versions are unknown."""
    missing_runs: tuple[Run, ...]
    work: tuple[ShardWork, ...]
    partitions: tuple[PartitionPlan, ...]
    left_out: tuple[str, ...] = ()
    """Metrics that were not asked for by name, and that such examples or such a net cannot have."""

    @property
    def to_ingest(self) -> tuple[PlannedShard, ...]:
        """Pieces that no night has ingested."""
        return tuple(shard for split in SPLITS for shard in self.surveys[split].missing)

    @property
    def to_score(self) -> tuple[ShardWork, ...]:
        """Shards with tasks missing."""
        return tuple(work for work in self.work if work.missing)

    @property
    def to_publish(self) -> tuple[PartitionPlan, ...]:
        """Partitions that differ from what is published."""
        return tuple(partition for partition in self.partitions if partition.changed)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the tables already hold all that was asked for."""
        return not self.to_ingest and not self.to_publish

    @property
    def outputs_bytes(self) -> int:
        """Size of the logits of every run on every shard."""
        layout = self.surveys["train"].layout
        rows = sum(survey.rows for survey in self.surveys.values())
        return 4 * len(self.runs) * rows * len(layout.classes)


def plan_night(asked: Request) -> Plan:
    """Look at the source and the store, from metadata alone, and plan.

    Raises:
        PublishedDiffers: a published partition was made with other settings.
        UserError: the source cannot be used; an unknown fleet, net or recipe; a published fleet
            made for other classes or images.
    """
    surveys = survey_splits(asked)
    versions: Versions = {}
    if not any(found.missing for found in surveys.values()):
        corrupt = asked.flags.data.max_corrupt
        versions = {split: assemble(found, (), corrupt) for split, found in surveys.items()}
    seen = published(asked.storage)
    models = choose_models(
        asked.flags.fleet,
        surveys=surveys,
        versions=versions,
        storage=asked.storage,
        published=[m for p, m in seen.items() if p.dataset == asked.publish_as],
    )
    every = asked.metrics
    asked = replace(asked, metrics=suited(asked, surveys["train"].layout, models))
    work = _shard_work(asked, surveys, models)
    runs = models.named_runs(_signals(asked), asked.splits)
    _refuse_untrainable(versions, runs)
    done = finished(asked.storage, [run.key for run in runs if run.key])
    return Plan(
        asked=asked,
        surveys=surveys,
        versions=versions,
        published=seen,
        models=models,
        runs=runs,
        missing_runs=tuple(run for run in runs if run.key not in done),
        work=work,
        partitions=_partitions(asked, models, versions, work, seen),
        left_out=tuple(spec.name for spec in every if spec not in asked.metrics),
    )


def _refuse_untrainable(versions: Versions, runs: Sequence[Run]) -> None:
    for split, version in versions.items():
        if not version.trainable and any(split in run.spec.splits() for run in runs):
            raise BadData(
                f"{version.name}: expected {split} rows with a label that can be read to train on, "
                "got none"
            )


def _signals(asked: Request) -> set[Signal]:
    """Signals whose runs must exist: those of the metrics and of the predictions."""
    return {spec.signal for spec in asked.metrics} | {prediction_signal(asked)}


def prediction_signal(asked: Request) -> Signal:
    """Predictions come from the ensemble, from the base run where there is none."""
    ensemble = any(spec.signal is Signal.ENSEMBLE for spec in asked.metrics)
    return Signal.ENSEMBLE if ensemble else Signal.BASE


def _shard_work(asked: Request, surveys: Surveys, models: Models) -> tuple[ShardWork, ...]:
    specs = (*asked.metrics, PREDICTED)
    staged = {spec.name: asked.storage.names(f"staging/{spec.name}") for spec in specs}
    work = []
    for split in asked.splits:
        assignments = [_assignment(spec, asked, models, split) for spec in specs]
        for shard in surveys[split].shards:
            tasks = tuple(Task(assignment=how, key=_score_key(how, shard)) for how in assignments)
            missing = tuple(
                task
                for task in tasks
                if f"{task.key}.parquet" not in staged[task.assignment.metric]
            )
            work.append(ShardWork(split=split, shard=shard, tasks=tasks, missing=missing))
    return tuple(work)


def _assignment(spec: MetricSpec, asked: Request, models: Models, split: Split) -> Assignment:
    signal = prediction_signal(asked) if spec is PREDICTED else spec.signal
    refs = tuple(
        RunRef(key=run.key, parent=run.parent if signal is Signal.PAIRS else "")
        for run in models.runs(signal, split)
    )
    config = asked.configs.get(spec.name, spec.config())
    checkpoints = models.checkpoints() if signal is Signal.CHECKPOINTS else 0
    return Assignment(metric=spec.name, config=config, runs=refs, checkpoints=checkpoints)


def _score_key(how: Assignment, shard: PlannedShard) -> str:
    """Name of a metric's scores on a shard; empty while shard or runs are not known."""
    if shard.record is None or not all(run.key for run in how.runs):
        return ""
    return score_key(how, shard.record)


def _partitions(
    asked: Request,
    models: Models,
    versions: Versions,
    work: Sequence[ShardWork],
    seen: Published,
) -> tuple[PartitionPlan, ...]:
    plans = []
    for split in asked.splits:
        shards = [item for item in work if item.split == split]
        for spec in asked.metrics:
            partition = Partition(asked.publish_as, split, spec.name)
            settings = _settings(asked, models, spec)
            if not asked.flags.replace and partition in seen:
                _refuse_other_settings(seen[partition], settings)
            keys = [(item.key(spec.name), item.key(PREDICTED.name)) for item in shards]
            parts = [*partition, versions[split].version, keys] if versions else []
            key = digest([*parts, settings, RANKING_VERSION]) if versions else ""
            plans.append(
                PartitionPlan(
                    partition=partition,
                    split=split,
                    spec=spec,
                    key=key,
                    settings=settings,
                    runs=models.runs(spec.signal, split),
                    changed=partition not in seen or seen[partition].key != key,
                )
            )
    return tuple(plans)


def _settings(asked: Request, models: Models, spec: MetricSpec) -> dict[str, str]:
    """The flags that made a partition what it is, by the name the user knows them by."""
    config = asdict(asked.configs[spec.name])
    return {
        "dataset": asked.source.name,
        **models.settings,
        **{f"limit-{split}": str(asked.flags.data.limit(split) or "none") for split in SPLITS},
        **{f"{spec.name}.{name}".replace("_", "-"): str(v) for name, v in config.items()},
    }


def _refuse_other_settings(before: Manifest, settings: Mapping[str, str]) -> None:
    for flag, value in settings.items():
        if before.settings.get(flag, value) != value:
            raise PublishedDiffers(
                f"--{flag}: expected {before.settings[flag]}, with which {before.partition} was "
                f"published, got {value}; pass --replace to publish over it, or --as NAME to "
                "publish beside it"
            )
