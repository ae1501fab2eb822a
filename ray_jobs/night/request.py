"""A request: a checked command line, with its source, store and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_jobs.terminal.night_flags import NightFlags
from scoring.allowed_nets import allow_nets
from scoring.data.ingest import Survey, survey
from scoring.data.sources import Source
from scoring.registry import metric, metrics
from scoring.spec import Metric
from scoring.store.keys import SPLITS, Split
from scoring.store.mark import check_new_or_marked
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user requested. The data has not been read yet."""

    flags: NightFlags
    configs: Mapping[str, Any]
    """Config by metric name."""
    metrics: tuple[Metric, ...]
    source: Source
    storage: Storage

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


def survey_splits(request: Request) -> dict[Split, Survey]:
    """Survey both splits of the source. Reads only metadata and writes nothing.

    Raises:
        UserError: the source cannot be used.
    """
    return survey(request.source, request.storage, request.flags.data.first)
