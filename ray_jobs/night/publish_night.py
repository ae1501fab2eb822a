"""Publishing a night: rank each partition, commit all of them at once, record the night."""

from collections.abc import Iterator

from ray_jobs.jobs.progress import Progress
from ray_jobs.night.night_record import Night, record_nights, write_night
from ray_jobs.night.partition_rows import partition_rows, read_examples
from ray_jobs.night.plan import PartitionPlan, Plan
from ray_jobs.night.publish_verdict import publish_estimates, publish_verdict
from scoring.store.layout import staged_path
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest
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
        judged = {}
        for probabilities in changed:
            if probabilities.split not in yielded:
                judged[probabilities.split] = publish_verdict(plan, probabilities)
            progress.advance()
        if judged:
            publish_estimates(plan, judged, night.command)
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
