"""The two ends of a metric's ranking: the code of `outliers` and `prototypes`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import PublishedDataset, TableFlags, by_default
from scoring.declared import ranked_by
from scoring.store.keys import Split
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class EndFlags:
    """One end of a ranking."""

    metric: str
    """A published metric, such as adv_l2."""
    split: Split = "test"
    """Split to show."""
    label: Annotated[str | None, by_default("all classes")] = None
    """Show only this class, by name or index."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """Number of examples to show."""
    dataset: PublishedDataset = None
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def show_end(end: Literal["outliers", "prototypes"], argv: Sequence[str] | None) -> int:
    """Show one end of a ranking, the most extreme example first."""
    kind = "least" if end == "outliers" else "most"
    description = f"Show a metric's {kind} prototypical examples, the most extreme first."
    flags = parse_flags(EndFlags, argv, f"protoscore {end}", description)
    store = Store(flags.table.store)
    rank = store.outliers if end == "outliers" else store.prototypes
    rows = rank(flags.metric, flags.split, flags.label, flags.n, flags.dataset)
    basis = ranked_by(flags.metric)
    flags.table.show(rows, f"{kind} prototypical first, ranked by {basis}" if basis else "")
    return 0
