"""Ingest: new pieces of the source become shards, then dataset versions."""

from collections.abc import Mapping
from datetime import UTC, datetime

from ray_jobs.engine import Engine, engine
from ray_jobs.jobs.lease import writing_job
from ray_jobs.night.request import Request, check_versions, survey_splits
from scoring.data.ingest import Survey, assemble, remember_layout
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.errors import IncompleteError
from scoring.store.keys import Split
from scoring.tables.publish import published


def ingest(
    request: Request, command: str
) -> tuple[dict[Split, Survey], dict[Split, DatasetVersion]]:
    """Ingest a dataset as a job of its own.

    Returns:
        The surveys of both splits before ingest, and their versions after it.

    Raises:
        UserError: the data cannot be used.
    """
    started, current = datetime.now(UTC), published(request.storage, dataset=request.publish_as)
    check_versions(request, current.values())
    surveys = survey_splits(request)
    name = request.source.name
    job = writing_job(request.storage, "ingest", command=command, dataset=name, started=started)
    with job as lease:
        if lease.waited:
            surveys = survey_splits(request)
        if not any(survey.missing for survey in surveys.values()):
            return surveys, write_versions(request, surveys, {})
        with engine(request.flags.machine, name) as cluster:
            return surveys, bring_in(cluster, request, surveys)


def bring_in(
    engine: Engine, request: Request, surveys: Mapping[Split, Survey]
) -> dict[Split, DatasetVersion]:
    """Make the missing shards, then write the version of each split.

    Args:
        engine: makes the shards.
        request: the source and the store.
        surveys: both splits, compared with the store.

    Raises:
        UserError: the data cannot be used. Shards already made stay for the next try.
        IncompleteError: a cap of the job is reached. Here too, finished shards stay.
    """
    missing = [shard for survey in surveys.values() for shard in survey.missing]
    layout = surveys["train"].layout
    made: Mapping[str, ShardRecord] = {}
    if missing:
        made = engine.make_shards(request.source, request.storage, layout, missing)
    if len(made) < len(missing):
        reason = engine.over() or "ingest ended early"
        raise IncompleteError(
            f"{reason} with {len(made)} of {len(missing)} shards ingested; "
            "run the same command again to go on"
        )
    return write_versions(request, surveys, made)


def write_versions(
    request: Request, surveys: Mapping[Split, Survey], made: Mapping[str, ShardRecord]
) -> dict[Split, DatasetVersion]:
    """Write the version of each split, once all its shards are in the store.

    Args:
        request: the source and the store.
        surveys: both splits, as they were before ingest.
        made: shards made since, by receipt.

    Raises:
        UserError: too many examples cannot be decoded.
    """
    remember_layout(request.source, request.storage, surveys["train"].layout)
    corrupt = request.flags.data.max_corrupt
    versions = {split: assemble(s, made.items(), corrupt) for split, s in surveys.items()}
    for version in versions.values():
        version.save(request.storage)
    return versions
