"""`protoscore outliers` and `protoscore prototypes`: the two ends of a metric's ranking."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.console import default_store, parse_flags, run_job
from ray_jobs.formats import Format, show
from scoring.errors import UnknownName
from scoring.keys import Split
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class ExtremesFlags:
    """Which end of which ranking to show."""

    metric: str
    """A published metric, such as adv_l2."""
    split: Split = "test"
    """Which split to look at."""
    label: str | None = None
    """Only this class, by name or index."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """How many rows."""
    dataset: str | None = None
    """May be left out where only one is published."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""


def outliers(argv: Sequence[str] | None = None) -> int:
    """Show the most outlying examples, the most outlying first."""
    return _show("outliers", argv)


def prototypes(argv: Sequence[str] | None = None) -> int:
    """Show the most prototypical examples, the most prototypical first."""
    return _show("prototypes", argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `outliers` or `prototypes`, whichever the first argument names."""
    words = list(sys.argv[1:] if argv is None else argv)
    ends = {"outliers": outliers, "prototypes": prototypes}
    if not words or words[0] not in ends:
        raise UnknownName("command", words[0] if words else "", ends)
    return ends[words[0]](words[1:])


def _show(end: Literal["outliers", "prototypes"], argv: Sequence[str] | None) -> int:
    what = "most outlying" if end == "outliers" else "most prototypical"
    flags = parse_flags(ExtremesFlags, argv, f"protoscore {end}", f"The {what} examples.")
    store = Store(flags.store)
    rank = store.outliers if end == "outliers" else store.prototypes
    rows = rank(flags.metric, flags.split, flags.label, flags.n, flags.dataset)
    show(rows, flags.format, flags.output)
    return 0


if __name__ == "__main__":
    sys.exit(run_job(main))
