"""Publishing a night: rank each partition, commit all of them at once, record the night."""

from collections.abc import Iterator

import pyarrow as pa

from ray_jobs.jobs.progress import Progress
from ray_jobs.night.night_record import Night, record_nights, write_night
from ray_jobs.night.partition_rows import partition_rows, read_examples
from ray_jobs.night.plan import PartitionPlan, Plan, ProbabilitiesPlan
from ray_jobs.night.work import ShardWork
from scoring.data.shard_parts import read_columns
from scoring.errors import IncompleteError
from scoring.folds.probabilities import PROBABILITIES
from scoring.staged.probabilities import read_probabilities
from scoring.store.layout import staged_path
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest
from scoring.tables.probabilities import publish_probabilities
from scoring.tables.publish import Outcome, publish
from scoring.tables.score_rows import Rows


def publish_night(planned: Plan, plan: Plan, night: Night) -> Outcome:
    """Rank what is staged, replace all changed partitions in one commit, and record the night.

    Args:
        planned: the plan before anything was trained or scored.
        plan: the plan of what can be published.
        night: the night.

    Raises:
        IncompleteError: rows are missing; nothing was published.
    """
    storage = plan.request.storage
    write_night(planned, plan, night)
    changed = [p for p in plan.probabilities if p.changed]
    with Progress("publish", len(plan.to_publish) + len(changed), "partition") as progress:
        parts = _parts(plan, storage, night, progress)
        outcome = publish(storage, parts, lost=plan.request.lost)
        yielded = {manifest.partition.split for manifest in outcome.yielded}
        for probabilities in changed:
            if probabilities.split not in yielded:
                _publish_probabilities(plan, storage, probabilities)
            progress.advance()
    if outcome.committed:
        record_nights(storage, plan.request.publish_as)
    return outcome


def _parts(
    plan: Plan, storage: Storage, night: Night, progress: Progress
) -> Iterator[tuple[Manifest, Rows]]:
    """Yield the manifest and rows of each changed partition."""
    for split in plan.request.splits:
        changed = [partition for partition in plan.to_publish if partition.split == split]
        if changed:
            work = [item for item in plan.work if item.split == split]
            scratch = plan.request.flags.machine.scratch_here
            examples = read_examples(storage, plan.request.source.name, work, scratch)
        for partition in changed:
            manifest = _manifest(plan, night, partition)
            version = manifest.dataset_version
            yield manifest, partition_rows(storage, partition.metric, examples, version)
            progress.advance()


def _publish_probabilities(plan: Plan, storage: Storage, of: ProbabilitiesPlan) -> None:
    dataset = plan.request.source.name

    def read(item: ShardWork) -> tuple[pa.Table, pa.ChunkedArray]:
        rows = read_columns(storage, dataset, item.record, ("example_id", "label"))
        path = staged_path(PROBABILITIES.name, item.key(PROBABILITIES.name))
        staged = read_probabilities(storage, path)
        if not staged["example_id"].equals(rows["example_id"]):
            raise IncompleteError(f"{path}: expected the ids of {item.record.path(dataset)}")
        return staged, rows["label"]

    work = (item for item in plan.work if item.split == of.split)
    version = plan.versions[of.split].version
    publish_probabilities(
        storage, plan.request.publish_as, of.split, of.key, in_parallel(read, work), version
    )


def _manifest(plan: Plan, night: Night, partition: PartitionPlan) -> Manifest:
    version = plan.versions[partition.split]
    work = [item for item in plan.work if item.split == partition.split]
    besides = (m for m in plan.situation.computed if m not in plan.request.metrics)
    metrics = (partition.metric.name, *(m.name for m in besides))
    return Manifest(
        partition=partition.partition,
        key=partition.key,
        night_id=night.night_id,
        planned_at=night.started.isoformat(),
        settings={**partition.settings, **plan.models.hardware_settings()},
        dataset_version=version.version,
        trained_on={str(split): key for split, key in plan.models.trained_on.items()},
        runs=_run_keys(plan, partition),
        base=plan.models.base().key,
        rows=version.rows,
        staged=tuple(staged_path(name, item.key(name)) for name in metrics for item in work),
    )


def _run_keys(plan: Plan, partition: PartitionPlan) -> tuple[str, ...]:
    """Return the runs that scores and predictions were made with, and the parents of those runs."""
    runs = (*partition.runs, *plan.models.runs(plan.situation.prediction_signal, "train"))
    keys = (key for run in runs for key in (run.key, run.parent) if key)
    return tuple(dict.fromkeys(keys))
