"""What should exist after a night, and what is missing: the one idea of protoscore.

Every artefact is named by the hash of everything that made it. A plan lists the names that a
request needs and compares them with the names in the store. Planning makes nothing. It needs all
data to be ingested; until then there is only a forecast (`ray_jobs.night.forecast`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ray_jobs.night.models import Models
from ray_jobs.night.request import Request
from ray_jobs.night.situation import Situation
from ray_jobs.night.work import ShardWork, shard_work
from scoring.analysis.verdict import EVIDENCE
from scoring.analysis.verdict import VERSION as VERDICT_VERSION
from scoring.data.ingest import assemble
from scoring.data.versions import DatasetVersion, load_whole_version
from scoring.errors import BadData
from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.runs.record import Run, finished
from scoring.spec import Metric
from scoring.store.keys import Split, digest
from scoring.tables import issues, probabilities
from scoring.tables.manifest import Partition

RANKING_VERSION = 1
Versions = Mapping[Split, DatasetVersion]


@dataclass(frozen=True, kw_only=True)
class PartitionPlan:
    """A partition of the `scores` table as it should be after the night."""

    partition: Partition
    split: Split
    metric: Metric
    key: str
    """Hash of everything it is made of."""
    settings: Mapping[str, str]
    """Settings that must not change silently, by the flag that sets them."""
    runs: tuple[Run, ...]
    changed: bool
    """Whether it differs from what is published, or what is published is damaged."""


@dataclass(frozen=True, kw_only=True)
class ProbabilitiesPlan:
    """A partition of `probabilities`, and that of `issues`, as they should be after the night."""

    split: Split
    key: str
    """Hash of everything it is made of."""
    changed: bool
    """Whether it differs from what is published."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A night: its data, its runs, its shards and its partitions, every one with its key."""

    situation: Situation
    versions: Versions
    models: Models
    runs: tuple[Run, ...]
    """Every run that the night reads, parents first."""
    missing_runs: tuple[Run, ...]
    work: tuple[ShardWork, ...]
    partitions: tuple[PartitionPlan, ...]
    probabilities: tuple[ProbabilitiesPlan, ...]
    """By split; none if no metric reads the ensemble."""

    @property
    def request(self) -> Request:
        """What the user requested, limited to metrics that apply."""
        return self.situation.request

    @property
    def to_score(self) -> tuple[ShardWork, ...]:
        """Shards that still have tasks to do."""
        return tuple(work for work in self.work if work.missing)

    @property
    def to_publish(self) -> tuple[PartitionPlan, ...]:
        """Partitions that differ from what is published."""
        return tuple(partition for partition in self.partitions if partition.changed)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the tables already hold everything that was requested."""
        return not self.to_publish and not any(plan.changed for plan in self.probabilities)


def plan_night(situation: Situation) -> Plan:
    """Plan a night whose data is all ingested.

    Raises:
        UserError: more rows than allowed cannot be decoded, a split that runs train on has no row
            to train on, or the published fleet lacks runs whose training rows were forgotten.
    """
    request, chosen = situation.request, situation.fleet
    corrupt = request.flags.data.max_corrupt
    versions = {split: assemble(s, (), corrupt) for split, s in situation.surveys.items()}
    models = chosen.on({split: version.version for split, version in versions.items()})
    work = shard_work(situation, models)
    partitions = [
        partition
        for split in request.splits
        for partition in plan_partitions(situation, models, versions[split], work)
    ]
    runs = models.needed(situation.signals(), request.splits)
    _refuse_untrainable(versions, runs)
    done = finished(request.storage, [run.key for run in runs])
    missing = tuple(run for run in runs if run.key not in done)
    if chosen.published_on:
        _refuse_forgotten(request, missing, chosen.published_on)
    return Plan(
        situation=situation,
        versions=versions,
        models=models,
        runs=runs,
        missing_runs=missing,
        work=work,
        partitions=tuple(partitions),
        probabilities=tuple(_plan_probabilities(situation, versions, work)),
    )


def plan_partitions(
    situation: Situation, models: Models, version: DatasetVersion, work: Sequence[ShardWork]
) -> list[PartitionPlan]:
    """Plan the partitions of one split, given its dataset version and the work of all splits."""
    split, plans = version.split, []
    shards = [item for item in work if item.split == split]
    for metric in situation.request.metrics:
        partition = situation.partition(split, metric)
        settings = situation.settings(metric)
        keys = [(item.key(metric.name), item.key(PREDICTED.name)) for item in shards]
        key = digest([*partition, version.version, keys, settings, RANKING_VERSION])
        before = situation.published.get(partition)
        lost = partition in situation.request.lost.values()
        plans.append(
            PartitionPlan(
                partition=partition,
                split=split,
                metric=metric,
                key=key,
                settings=settings,
                runs=models.runs(metric.signal, split),
                changed=before is None or before.key != key or lost,
            )
        )
    return plans


def _plan_probabilities(
    situation: Situation, versions: Versions, work: Sequence[ShardWork]
) -> Iterator[ProbabilitiesPlan]:
    """Plan the partitions of `probabilities` and `issues`, if they are computed."""
    if PROBABILITIES not in situation.computed:
        return
    request = situation.request
    published = [
        table.published_keys(request.storage, request.publish_as)
        for table in (probabilities, issues)
    ]
    names = [m.name for m in situation.computed if m is PROBABILITIES or m.name in EVIDENCE]
    for split in request.splits:
        keys = [item.key(name) for name in names for item in work if item.split == split]
        made_of = [request.publish_as, split, versions[split].version, VERDICT_VERSION, keys]
        key = digest(made_of)
        changed = any(keys.get(split) != key for keys in published)
        yield ProbabilitiesPlan(split=split, key=key, changed=changed)


def _refuse_untrainable(versions: Versions, runs: Sequence[Run]) -> None:
    for split, version in versions.items():
        if not version.trainable and any(split in run.spec.splits() for run in runs):
            raise BadData(
                f"{version.name}: expected {split} rows to train on, with a label and a readable "
                f"{version.shape.column}, got none"
            )


def _refuse_forgotten(
    request: Request, missing: Sequence[Run], trained_on: Mapping[Split, str]
) -> None:
    """Refuse to train more runs of a fleet on rows that are no longer there."""
    for split in sorted({split for run in missing for split in run.spec.splits()}):
        load_whole_version(request.storage, request.source.name, split, trained_on[split])
