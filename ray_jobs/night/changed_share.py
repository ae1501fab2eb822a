"""How much of its training data has changed since a fleet was trained."""

from collections.abc import Mapping, Sequence

from scoring.data.corrections import NO_CLASS
from scoring.data.ingest import PlannedShard, Survey
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.store.keys import Split


def changed_share(
    surveys: Mapping[Split, Survey], trained_on: Mapping[Split, DatasetVersion]
) -> float:
    """Return the share of rows, of both splits, that changed since a fleet was trained.

    New rows and removed rows are counted, shard by shard; the larger count is divided by the rows
    the fleet was trained on. 0 if `trained_on` is empty. If corrections are all that changed in a
    shard, only the rows with another label count.
    """
    if not trained_on:
        return 0.0
    new = removed = 0
    for split, version in trained_on.items():
        before = {shard.content: shard for shard in version.shards}
        today = {
            shard.record.content if shard.record else shard.receipt: shard
            for shard in surveys[split].shards
        }
        came = [today[content] for content in today.keys() - before.keys()]
        gone = [before[content] for content in before.keys() - today.keys()]
        by_source = {shard.source_content: shard for shard in gone}
        for shard in came:
            if twin := by_source.pop(_source_content(shard), None):
                relabelled = _relabelled(twin, shard, surveys[split].layout.classes)
                new, removed = new + relabelled, removed + relabelled
            else:
                new += shard.rows
        removed += version.forgotten + sum(shard.rows for shard in by_source.values())
    return max(new, removed) / sum(version.rows_then for version in trained_on.values())


def _source_content(shard: PlannedShard) -> str:
    """Return the hash of a shard with the source's labels; "" if the source was not read yet."""
    known = shard.record or shard.uncorrected
    return known.source_content if known else ""


def _relabelled(before: ShardRecord, today: PlannedShard, classes: Sequence[str]) -> int:
    """Count the rows of a shard that have another label than before."""
    then = {(row.example_id, row.label) for row in before.overlaid}
    if today.record:
        now = {(row.example_id, row.label) for row in today.record.overlaid}
    else:
        now = {
            (c.example_id, NO_CLASS if c.label is None else classes.index(c.label))
            for c in today.corrections
        }
    return len({example_id for example_id, _ in then ^ now})
