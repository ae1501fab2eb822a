"""A request: a checked command line, with its source, store and metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ray_jobs.night.verdict_wishes import VERDICTS, wishes_of_verdicts
from ray_jobs.terminal.correction_lines import NO_CORRECTIONS, read_wishes
from ray_jobs.terminal.night_flags import NightFlags
from ray_jobs.terminal.say import note
from scoring.allowed_nets import allow_nets
from scoring.data.correcting import Mistakes, Wish, all_withdrawn, corrections_for
from scoring.data.corrections import Correction
from scoring.data.ingest import Survey, check_classes, survey
from scoring.data.sources import Source
from scoring.errors import BadStore, UserError
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
    changes: tuple[Correction, ...] = ()
    """Corrections of labels to put in force, besides or instead of those in the store."""
    changes_from: str = ""
    """Where they come from, such as the name of a file."""
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
    request = Request(flags=flags, configs=configs, metrics=chosen, source=source, storage=storage)
    if flags.corrections == NO_CORRECTIONS:
        changes = all_withdrawn(storage, source.name)
        return replace(request, changes=changes, changes_from=NO_CORRECTIONS)
    if flags.corrections:
        with naming_mistakes(f"--corrections {flags.corrections}"):
            return correct(request, read_wishes(flags.corrections), flags.corrections)
    if flags.apply_verdicts:
        with naming_mistakes("--apply-verdicts"):
            return _apply_verdicts(request)
    return request


def correct(request: Request, wishes: Sequence[Wish], origin: str) -> Request:
    """Return a request that puts corrections in force, too; writes nothing.

    Args:
        request: the source and the store.
        wishes: at most one for each example.
        origin: where they come from, for the record.

    Raises:
        Mistakes: wishes that cannot be fulfilled.
        UserError: the source cannot be used.
    """
    changes = corrections_for(request.storage, _survey(request), wishes)
    return replace(request, changes=changes, changes_from=origin)


def _apply_verdicts(request: Request) -> Request:
    """Return a request that corrects labels as reviewers decided.

    Raises:
        Mistakes: verdicts that cannot be applied.
        UserError: there are none, or the source cannot be used.
    """
    surveys = _survey(request)
    found = wishes_of_verdicts(request.storage, request.publish_as, surveys)
    changes = corrections_for(request.storage, surveys, found.wishes)
    return replace(request, changes=found.still_true(changes), changes_from=VERDICTS)


@contextmanager
def naming_mistakes(origin: str) -> Iterator[None]:
    """Name each of several mistakes in a line of its own.

    Raises:
        UserError: with the last of them.
    """
    try:
        yield
    except Mistakes as mistakes:
        *others, last = (f"{origin}: {line}" for line in mistakes.lines)
        for line in others:
            note(f"protoscore: error: {line}")
        raise UserError(last) from mistakes


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
        UserError: the source cannot be used, or lacks a class that a label was corrected to.
    """
    surveys = _survey(request)
    check_classes(surveys.values())
    return surveys


def _survey(request: Request) -> dict[Split, Survey]:
    source, storage = request.source, request.storage
    return survey(source, storage, request.flags.data.first, request.changes)
