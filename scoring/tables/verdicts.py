"""The table `verdicts`: what reviewers decided about labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from scoring.data.reviews import Decision
from scoring.store.keys import Split
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.schemas import VERDICTS
from scoring.tables.whole_partitions import VERDICTS_TABLE, replace_partition, table_sql


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A row of `verdicts`: what one reviewer decided about one label of a queue."""

    example_id: int
    example: str
    name: str | None
    label: int
    decision: Decision
    decided_label: int | None
    wrong: float
    stratum: int
    queue: str
    reviewer: str
    decided_at: datetime
    dataset_version: str

    @property
    def outcome(self) -> int | str:
        """What it comes to: the class that the label should be, or the decision if that is none."""
        if self.decision == "keep":
            return self.label
        return self.decision if self.decided_label is None else self.decided_label

    @property
    def says_wrong(self) -> bool:
        """Whether it says that the label is wrong. An ambiguous one is not: it can be defended."""
        return self.decision in ("relabel", "exclude")


def merged(*parts: Iterable[Verdict]) -> list[Verdict]:
    """Return the newest verdict of each reviewer about each example of a queue, as the table sorts.

    Of two as new as each other, the one that comes later counts.
    """
    newest: dict[tuple[str, int, str], Verdict] = {}
    for verdict in (v for part in parts for v in part):
        key = verdict.queue, verdict.example_id, verdict.reviewer
        if key not in newest or newest[key].decided_at <= verdict.decided_at:
            newest[key] = verdict
    return [newest[key] for key in sorted(newest)]


def read_verdicts(storage: Storage, dataset: str, split: Split) -> list[Verdict]:
    """Read all verdicts about a split of a dataset, by its name in `scores`."""
    partition = {"dataset": dataset, "split": split}
    views = {"verdicts": lambda: table_sql(storage, VERDICTS_TABLE, partition)}
    columns = ", ".join(VERDICTS.names)
    query = f"select {columns} from verdicts order by queue, example_id, reviewer"
    return [Verdict(**row) for row in sql.run(storage, query, views).to_pylist()]


def publish_verdicts(
    storage: Storage, dataset: str, split: Split, verdicts: Sequence[Verdict]
) -> int:
    """Replace the verdicts about a split in one commit; return the table's new version."""
    rows = pa.Table.from_pylist([vars(verdict) for verdict in verdicts], schema=VERDICTS)
    partition = {"dataset": dataset, "split": split}
    return replace_partition(storage, VERDICTS_TABLE, partition, rows.to_batches())
