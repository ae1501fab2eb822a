"""`protoscore export`: published scores and their examples, for other tools."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from ray_jobs.jobs.destination_lease import writing_into
from ray_jobs.jobs.progress import Progress
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.destinations import free_path, write_record
from ray_jobs.terminal.say import note, say
from ray_jobs.terminal.shared_flags import At, PublishedDataset, RawCsv, StoreUri, by_default
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.errors import UnknownName, UserError
from scoring.exports import (
    CORRECTIONS,
    CSV,
    FIFTYONE,
    HUGGINGFACE,
    LABEL_ISSUES,
    PARQUET,
    RAW_CSV,
    Format,
    check_judged,
    label_issues,
    select,
)
from scoring.store.keys import Split
from scoring.store.whole_files import written_whole

_FORMATS = {
    "csv": CSV,
    "parquet": PARQUET,
    "fiftyone": FIFTYONE,
    "huggingface": HUGGINGFACE,
    "corrections": CORRECTIONS,
}


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Export published scores for other tools: one row per example, with its scores."""

    to: Literal["csv", "parquet", "cleanlab", "fiftyone", "huggingface", "corrections"]
    """csv, parquet: a file of scores.
    cleanlab: a Parquet file of label issues, for the examples with a label.
    fiftyone, huggingface: a folder of examples and scores.
    corrections: a CSV file of corrected labels, for the source's owner or rescore --corrections."""
    output: Annotated[str, by_default("named after dataset and format")] = ""
    """File or folder to write."""
    overwrite: bool = False
    """Replace an earlier export."""
    split: Split | Literal["both"] = "both"
    """Split to export."""
    metrics: Annotated[
        tuple[str, ...], by_default("all that were scored on the newest dataset version")
    ] = ()
    """Metrics to export."""
    label_quality: Annotated[str, by_default("the verdict: see protoscore issues")] = ""
    """cleanlab: metric to judge labels by instead; its percentile / 100 is a label's quality."""
    threshold: Annotated[float | None, by_default("none")] = None
    """cleanlab, with --label-quality: share of labels to report as issues, of lowest quality."""
    raw_csv: RawCsv = False
    dataset: PublishedDataset = None
    at: At = None
    store: StoreUri = field(default_factory=default_store)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        cleanlab_only = {"--label-quality": self.label_quality, "--threshold": self.threshold}
        for flag, value in cleanlab_only.items():
            if value not in ("", None) and self.to != "cleanlab":
                raise UserError(f"{flag}: expected it with --to cleanlab, got {self.to}")
        if self.raw_csv and self.to != "csv":
            raise UserError(f"--raw-csv: expected it with --to csv, got {self.to}")
        if self.metrics and self.to == "cleanlab":
            raise UserError("--metrics: expected --label-quality with --to cleanlab, got --metrics")
        if bool(self.label_quality) != (self.threshold is not None):
            given, lacking = "--label-quality", "--threshold"
            if not self.label_quality:
                given, lacking = lacking, given
            raise UserError(f"{given}: expected it with {lacking}, got it without")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold: expected a share in [0, 1], got {self.threshold}")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the export; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(ExportFlags, args, "protoscore export")
    flags.check()
    snapshot = take_snapshot(flags.store, flags.dataset, flags.at)
    splits = _splits(snapshot, flags.split)
    style, metrics = _format(flags, snapshot, splits)
    selection = select(snapshot, splits, metrics)
    if style.images_only and selection.shape.column != "image":
        raise UserError(f"--to: expected a dataset of images, got {selection.shape.plural}")
    if style is LABEL_ISSUES:
        check_judged(selection)
    output = flags.output or f"{snapshot.dataset}{style.suffix}"
    path = free_path(output, folder=style.folder, overwrite=flags.overwrite)
    if selection.left_out:
        left_out = ", ".join(selection.left_out)
        note(f"Left out, scored on an older dataset version: {left_out}")
    command = command_line("export", args)
    job = writing_into(
        snapshot.storage, str(path), "export", command=command, dataset=snapshot.dataset
    )
    with job, written_whole(path, "--output", folder=style.folder) as unfinished:
        with Progress("export", selection.rows, "example") as progress:
            rows = style.write(selection, unfinished, progress.advance)
        if style.folder:
            write_record(unfinished, selection.provenance())
    what = {LABEL_ISSUES: "judged by the verdict", CORRECTIONS: "with corrected labels"}
    by = what.get(style, f"scored by {', '.join(selection.metrics)}")
    say(f"{rows:,} examples of {snapshot.dataset} ({', '.join(selection.splits)}), {by}: {path}")
    say(f"Read it with {style.read_with.format(path=path)}")
    return 0


def _splits(snapshot: Snapshot, split: Split | Literal["both"]) -> tuple[Split, ...]:
    if split == "both":
        return snapshot.splits
    if split not in snapshot.splits:
        raise UnknownName("--split", split, snapshot.splits)
    return (split,)


def _format(
    flags: ExportFlags, snapshot: Snapshot, splits: Sequence[Split]
) -> tuple[Format, Sequence[str]]:
    """Return the format and the metrics to write; none: all of the newest dataset version."""
    if flags.to != "cleanlab":
        return RAW_CSV if flags.raw_csv else _FORMATS[flags.to], flags.metrics
    if flags.threshold is None:
        return LABEL_ISSUES, ()
    published = {metric for split, metric in snapshot.manifests if split in splits}
    if flags.label_quality not in published:
        raise UnknownName("--label-quality", flags.label_quality, published)
    return label_issues(flags.label_quality, flags.threshold), (flags.label_quality,)
