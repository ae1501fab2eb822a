"""Writes the report: a folder of pages, styles, scripts and data."""

import math
from collections.abc import Mapping
from typing import Any

from scoring.analysis.verdict import KINDS
from scoring.data.shapes import InputShape
from scoring.report.facts import Report
from scoring.report.figures import SCATTERS
from scoring.report.folder import appearing
from scoring.report.packs import Packing, choose_packings
from scoring.report.pages import render
from scoring.report.scripts import as_script
from scoring.report.split_data import write_split
from scoring.report.templates import STATIC
from scoring.tables.findings import Finding


def write_report(report: Report, target: str, *, images: bool = True, explained: str = "") -> int:
    """Write the folder and return its size in bytes.

    It appears whole or not at all. A few shards are read at a time, and one pack of each is in
    memory.

    Args:
        report: what the pages show.
        target: a path or s3://bucket/prefix: new, empty, or an earlier report, which is replaced.
        images: show the examples themselves, images or texts.
        explained: address of a page of explanations, relative to the report, to link to.

    Raises:
        UserError: the folder cannot be written.
        BadStore: a shard cannot be read.
    """
    packings = _packings(report, images)
    with appearing(target) as folder:
        for name, page in render(report).items():
            folder.write(name, page.encode())
        for file in sorted(STATIC.iterdir()):
            folder.write(f"{file.suffix[1:]}/{file.name}", file.read_bytes())
        for path, data in _data(report, explained).items():
            folder.write(path, as_script(path, data))
        for split in report.splits:
            write_split(report.snapshot.storage, split, packings, folder)
        return folder.size


def _packings(report: Report, images: bool) -> Mapping[InputShape, Packing]:
    examples = sum(split.positions.count for split in report.splits)
    shapes = {
        shard.version.shape: None for split in report.splits for shard in split.positions.shards
    }
    return choose_packings(examples, shapes, shown=images)


def _data(report: Report, explained: str) -> dict[str, Any]:
    """Return the data that belongs to no split, by file."""
    findings = {
        f"data/evaluations/{name}.js": [_row(finding) for finding in found]
        for name, found in report.evaluations.items()
        if name not in SCATTERS
    }
    return {"data/report.js": _summary(report, explained), **findings}


def _row(finding: Finding) -> list[str | float | None]:
    """Return the columns of the table on the page, in its order."""
    value = None if math.isnan(finding.value) else finding.value
    return [finding.subject, finding.part, finding.measure, value, finding.spread, finding.rows]


def _summary(report: Report, explained: str) -> dict[str, Any]:
    purposes = {m.name: purpose for purpose, group in report.by_purpose.items() for m in group}
    return {
        "classes": report.classes,
        "metrics": [
            {
                "name": m.name,
                "summary": m.summary,
                "unit": m.unit,
                "prototypical": m.prototypical,
                "ranked_by": m.ranked_by,
                "purpose": purposes[m.name],
            }
            for m in report.metrics
        ],
        "splits": [split.split for split in report.splits],
        "kinds": KINDS,
        "explained": explained,
        "purposes": list(report.by_purpose),
        "front": report.front,
        "best": report.best,
    }
