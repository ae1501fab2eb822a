"""What the page's script draws the grids from: JSON in which every image stands once."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from scoring.analysis.scores import Row
from scoring.report.build import Report, SplitReport
from scoring.report.extremes import ClassEnds
from scoring.report.thumbnails import MEDIA_TYPE, Source

_SHOWN = ("predicted", "value", "spread", "status", "class_percentile")


class _Images:
    """Images by number, equal ones under one."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._numbers: dict[bytes, int] = {}

    def number(self, source: Source, example_id: int) -> int | None:
        """The number of an example's image; None where it has none."""
        data = self._report.thumbnails.get((source, example_id))
        return None if data is None else self._numbers.setdefault(data, len(self._numbers))

    def encoded(self) -> list[str]:
        """All images as base64, in order of number."""
        return [base64.b64encode(data).decode() for data in self._numbers]


def payload(report: Report) -> dict[str, Any]:
    """The page's data.

    Its `splits` hold, by name: `examples`, each with id, name and percentiles in the order of the
    split's `metrics`; and `grids`, by metric the classes with their outlying and prototypical rows
    in order of rank, each naming its example and its image by number.
    """
    images = _Images(report)
    return {
        "classes": list(report.splits[-1].version.classes),
        "metrics": [{"name": metric.name, "unit": metric.unit} for metric in report.metrics],
        "splits": {split.split: _split(split, images) for split in report.splits},
        "longest_side": max(max(split.version.shape.dims[:2]) for split in report.splits),
        "media_type": MEDIA_TYPE,
        "images": images.encoded(),  # last: by now every image has its number
    }


def as_script(data: Mapping[str, Any]) -> str:
    """JSON that is safe inside a script element, whatever users called their files."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _split(split: SplitReport, images: _Images) -> dict[str, Any]:
    names = {row["example_id"]: row["name"] for m in split.metrics.values() for row in m.rows}
    numbers = {example_id: number for number, example_id in enumerate(split.percentiles)}
    examples = [
        {"id": i, "name": names[i], "percentiles": [_percentile(p) for p in percentiles]}
        for i, percentiles in split.percentiles.items()
    ]
    grids = {
        name: [_class(ends, numbers, images, (split.split, metric.version)) for ends in metric.ends]
        for name, metric in split.metrics.items()
    }
    return {"metrics": list(split.metrics), "examples": examples, "grids": grids}


def _class(
    ends: ClassEnds, numbers: Mapping[int, int], images: _Images, source: Source
) -> dict[str, Any]:
    def row(of: Row) -> dict[str, Any]:
        return {
            "example": numbers[of["example_id"]],
            "image": images.number(source, of["example_id"]),
            **{name: _short(of[name]) for name in _SHOWN if of[name] is not None},
        }

    return {
        "label": ends.label,
        "ranked": ends.ranked,
        "outlying": [row(of) for of in ends.outlying],
        "prototypical": [row(of) for of in ends.prototypical],
    }


def _short(value: float | int | str) -> float | int | str:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _percentile(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)
