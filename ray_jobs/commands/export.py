"""`protoscore export`: published scores, and their images, for the tools people already use."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ray_jobs.jobs.progress import Progress
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.destinations import free_path, write_record
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.errors import UnknownName, UserError
from scoring.exports import (
    CSV,
    FIFTYONE,
    FOUND_LABELS_BEST,
    HUGGINGFACE,
    PARQUET,
    Format,
    label_issues,
    select,
)
from scoring.store.keys import Split
from scoring.store.whole_files import written_whole

_FORMATS = {"csv": CSV, "parquet": PARQUET, "fiftyone": FIFTYONE, "huggingface": HUGGINGFACE}
_THRESHOLD = 0.05


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Published scores for other tools: one row an example, every metric beside the other."""

    to: Literal["csv", "parquet", "cleanlab", "fiftyone", "huggingface"]
    """csv, parquet: a file of scores; cleanlab: label issues of the examples with a label, in
    Parquet; fiftyone, huggingface: a folder of examples and scores."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    split: Split | Literal["both"] = "both"
    """Which split's examples."""
    metrics: tuple[str, ...] = ()
    """Default: all that were scored on the newest version of the dataset."""
    label_quality: str = ""
    """cleanlab: the metric whose percentile, as a share, is the quality of a label; default: the
    first published of those that find wrong labels best."""
    threshold: float | None = None
    """cleanlab: a label of a quality below it is an issue, so it is the share of labels taken for
    wrong; default 0.05."""
    at: str | None = None
    """The scores as they were: a version of `scores`, or a time like 2026-03-31T06:00 (UTC)."""
    output: str = ""
    """The file or folder to write; default: named after dataset and format."""
    overwrite: bool = False
    """Replace what an earlier export left there."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        asked = {"--label-quality": self.label_quality, "--threshold": self.threshold}
        for flag, value in asked.items():
            if value not in ("", None) and self.to != "cleanlab":
                raise UserError(f"{flag}: expected it with --to cleanlab, got {self.to}")
        if self.metrics and self.to == "cleanlab":
            raise UserError("--metrics: expected --label-quality with --to cleanlab, got --metrics")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UserError(f"--threshold: expected a share in [0, 1], got {self.threshold}")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the export; returns the exit code."""
    flags = parse_flags(ExportFlags, argv, "protoscore export")
    flags.check()
    snapshot = take_snapshot(flags.store, flags.dataset, flags.at)
    splits = _splits(snapshot, flags.split)
    style, metrics = _format(flags, snapshot, splits)
    selection = select(snapshot, splits, metrics)
    if style.images_only and selection.shape.column != "image":
        raise UserError(f"--to: expected a dataset of images, got {selection.shape.plural}")
    output = flags.output or f"{snapshot.dataset}{style.ending}"
    path = free_path(output, folder=style.folder, overwrite=flags.overwrite)
    if selection.left_out:
        left_out = ", ".join(selection.left_out)
        print(f"Left out, for they are of an older dataset version: {left_out}", file=sys.stderr)
    with written_whole(path, "--output", folder=style.folder) as partial:
        with Progress("export", selection.rows, "example") as progress:
            rows = style.write(selection, partial, progress.advance)
        if style.folder:
            write_record(partial, selection.about())
    print(
        f"{rows:,} examples of {snapshot.dataset} ({', '.join(selection.splits)}), scored by "
        f"{', '.join(selection.metrics)}: {path}"
    )
    print(f"Read it with {style.read_with.format(path=path)}")
    return 0


def _splits(snapshot: Snapshot, asked: Split | Literal["both"]) -> tuple[Split, ...]:
    if asked == "both":
        return snapshot.splits
    if asked not in snapshot.splits:
        raise UnknownName("--split", asked, snapshot.splits)
    return (asked,)


def _format(
    flags: ExportFlags, snapshot: Snapshot, splits: Sequence[Split]
) -> tuple[Format, Sequence[str]]:
    """The format, and the metrics that it is to hold; none: all that belong together."""
    if flags.to != "cleanlab":
        return _FORMATS[flags.to], flags.metrics
    published = {metric for split, metric in snapshot.manifests if split in splits}
    quality = flags.label_quality or next((m for m in FOUND_LABELS_BEST if m in published), "")
    if quality not in published:
        raise UnknownName("--label-quality", quality, published)
    threshold = _THRESHOLD if flags.threshold is None else flags.threshold
    return label_issues(quality, threshold), (quality,)
