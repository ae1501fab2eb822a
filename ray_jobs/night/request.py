"""A request: a checked command line, with its source, store and metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_jobs.terminal.night_flags import NightFlags
from scoring.allowed_nets import allow_nets
from scoring.data.ingest import Survey, survey
from scoring.data.sources import Source
from scoring.errors import BadStore
from scoring.registry import metric, metrics
from scoring.spec import Metric
from scoring.store.keys import SPLITS, Split
from scoring.store.layout import copy_path, version_path
from scoring.store.mark import check_new_or_marked
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user requested. The data has not been read yet."""

    flags: NightFlags
    configs: Mapping[str, Any]
    """Config by metric name."""
    metrics: tuple[Metric, ...]
    source: Source
    storage: Storage
    probabilities: bool = True
    """Whether to publish the ensemble's out-of-bag probabilities."""
    lost: Mapping[str, Partition] = field(default_factory=dict)
    """Damaged data files of `scores`, and the partitions that are therefore published anew."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits to score, train first."""
        return tuple(split for split in SPLITS if split in self.flags.splits)

    @property
    def publish_as(self) -> str:
        """Name of the dataset in the tables."""
        return self.flags.publish_as or self.source.name


def check(flags: NightFlags, configs: Mapping[str, Any], *, writable: bool) -> Request:
    """Turn flags into a request, or refuse them before any work.

    Args:
        flags: the flags of a night.
        configs: Config by metric name.
        writable: whether the store must be writable, not just readable.

    Raises:
        UserError: naming the flag.
    """
    flags.check()
    allow_nets([flags.fleet.net, *flags.fleet.allow_nets])
    chosen = tuple(metric(name) for name in dict.fromkeys(flags.metrics or metrics()))
    source = flags.data.source()
    storage = Storage(flags.store)
    storage.check(writable=writable)
    if writable:
        check_new_or_marked(storage)
    return Request(flags=flags, configs=configs, metrics=chosen, source=source, storage=storage)


def check_versions(request: Request, published: Iterable[Manifest]) -> None:
    """Refuse a store that has lost a dataset version: ids might be given out anew.

    Args:
        request: the source and the store.
        published: manifests of partitions that were made from the source.

    Raises:
        BadStore: a version and its copy are missing.
    """
    name = request.source.name
    versions = {
        version_path(name, split, version)
        for manifest in published
        for split, version in (
            *manifest.trained_on.items(),
            (manifest.partition.split, manifest.dataset_version),
        )
    }
    there = request.storage.existing([*versions, *map(copy_path, versions)])
    for path in sorted(versions):
        if not there & {path, copy_path(path)}:
            raise BadStore(
                f"--store: expected {path}, which keeps the ids of {name}, got neither it nor its "
                "copy; restore one from a backup, or pass another --name"
            )


def survey_splits(request: Request) -> dict[Split, Survey]:
    """Survey both splits of the source. Reads only metadata and writes nothing.

    Raises:
        UserError: the source cannot be used.
    """
    return survey(request.source, request.storage, request.flags.data.first)
