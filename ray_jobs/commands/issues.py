"""`protoscore issues`: the labels that are probably wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
import tyro

from ray_jobs.jobs.verdict_lines import verdict_lines
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.say import note
from ray_jobs.terminal.shared_flags import PublishedDataset, TableFlags, by_default
from scoring.analysis.verdict import EVALUATION, read_estimates
from scoring.errors import UnknownName, UserError
from scoring.store.keys import Split
from scoring.tables import Store

_HIDDEN = ("dataset", "label", "suggested", "dataset_version")
_Kind = Literal["wrong-label", "ambiguous", "rare-but-right", "out-of-place"]


@dataclass(frozen=True, kw_only=True)
class IssuesFlags:
    """List the labels that are probably wrong, the likeliest first, and how many there are in all.

    `wrong` is the probability that a label is wrong, judged from models that did not see the
    example. The estimate assumes that labels go wrong by class, and that models are as sure of
    examples they did not see as they deserve. To measure it instead, check a sample by hand.
    """

    split: Annotated[Split | None, by_default("both")] = None
    """Split to list."""
    kind: Annotated[_Kind | None, by_default("all kinds")] = None
    """List one kind alone.
    wrong-label: another class is at least as likely as not.
    ambiguous: both the label and another class are likely.
    rare-but-right: the label fits, yet models that did not see the example do not expect it.
    out-of-place: the label is unlikely, but so is every other class."""
    label: Annotated[str | None, by_default("all classes")] = None
    """List one class alone, by the name of the given label."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 20
    """Number of examples to list of each split; 0: all."""
    dataset: PublishedDataset = None
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """List issues."""
    flags = parse_flags(IssuesFlags, argv, "protoscore issues")
    if flags.n < 0:
        raise UserError(f"-n: expected 0 or more rows, got {flags.n}")
    store = Store(flags.table.store)
    dataset = _dataset(store, flags.dataset)
    rows = store.issues(dataset, flags.split)
    if flags.kind:
        rows = rows.filter(pc.equal(rows["kind"], flags.kind.replace("-", " ")))
    if flags.label is not None:
        names = {name for name in rows["label_name"].to_pylist() if name is not None}
        if flags.label not in names:
            raise UnknownName("--label", flags.label, names)
        rows = rows.filter(pc.equal(rows["label_name"], flags.label))
    estimates = read_estimates(store.evaluations(dataset, EVALUATION))
    shown = {s: e for s, e in estimates.items() if flags.split in (None, s)}
    for line in verdict_lines(dataset, shown):
        note(line)
    flags.table.show(_rounded(_first(rows, flags.n).drop_columns(_HIDDEN)))
    return 0


def _dataset(store: Store, wanted: str | None) -> str:
    """Return the one dataset whose labels were judged, or the one that is wanted."""
    known = store.evaluations(evaluation=EVALUATION)["dataset"].unique().to_pylist()
    if not known:
        raise UserError(
            f"--store: expected judged labels, got none in {store.uri}; run rescore with metrics "
            "of the ensemble, such as conf"
        )
    if wanted is None and len(known) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(sorted(known))}, got none")
    if wanted is not None and wanted not in known:
        raise UnknownName("--dataset", wanted, known)
    return wanted or str(known[0])


def _rounded(rows: pa.Table) -> pa.Table:
    columns = {
        name: pc.round(rows[name], 4) if pa.types.is_floating(rows[name].type) else rows[name]
        for name in rows.column_names
    }
    return pa.table(columns)


def _first(rows: pa.Table, n: int) -> pa.Table:
    """Return the first n rows of each split; 0: all."""
    if n == 0:
        return rows
    splits = rows["split"].unique().to_pylist()
    return pa.concat_tables(
        [rows.slice(0, 0), *(rows.filter(pc.equal(rows["split"], s)).slice(0, n) for s in splits)]
    )
