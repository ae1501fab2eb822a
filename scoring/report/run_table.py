"""The runs behind the scores, grouped by kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from scoring.analysis.score_table import Row

_KINDS = ("plain", "finetuned", "private", "imported")


@dataclass(frozen=True, kw_only=True)
class RunGroup:
    """Rows of the `runs` table with one kind and one training split."""

    kind: str
    split: str
    runs: Sequence[Row]

    @property
    def nets(self) -> list[str]:
        """Names of the networks, without repeats."""
        return sorted({run["net"] for run in self.runs})

    @property
    def reused(self) -> int:
        """How many runs an earlier night had trained."""
        return sum(bool(run["reused"]) for run in self.runs)

    @property
    def seconds(self) -> float:
        """Total training time."""
        return sum(run["seconds"] or 0.0 for run in self.runs)

    def mean(self, column: str) -> float | None:
        """Average a column over the runs that have a value."""
        known = self.known(column)
        return sum(known) / len(known) if known else None

    def known(self, column: str) -> list[float]:
        """Return the non-null values of a column, ascending."""
        return sorted(run[column] for run in self.runs if run[column] is not None)


def group_runs(runs: Iterable[Row]) -> list[RunGroup]:
    """Group runs by kind and split; sort each group by epsilon, net, width and seed."""
    return [
        RunGroup(kind=kind, split=split, runs=list(group))
        for (_, kind, _, split), group in groupby(sorted(runs, key=_order), key=_group)
    ]


def _group(run: Row) -> tuple[int, str, bool, str]:
    kind, split = run["kind"], run["split"]
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS), kind, split != "train", split


def _order(run: Row) -> tuple[object, ...]:
    return (
        *_group(run),
        run["epsilon_target"] or 0.0,
        run["net"],
        run["width"] or 0.0,
        run["seed"] or 0,
    )
