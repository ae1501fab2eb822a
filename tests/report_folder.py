"""Writes a report, and reads its data files as its pages do."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scoring.report import MetricInfo, gather, take_snapshot, write_report

WRITTEN = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def write(
    uri: str, metrics: Sequence[MetricInfo], target: Path, dataset: str | None = None
) -> Path:
    """Write the report of a store and return its folder."""
    write_report(gather(take_snapshot(uri, dataset), metrics, WRITTEN), str(target))
    return target


def read_data(folder: Path, path: str):
    """Return what a data file hands to the page, with columns unpacked."""
    text = (folder / path).read_text()
    found = re.fullmatch(r'protoscore\.receive\(("[^"]*"),(.*)\);\n', text, re.DOTALL)
    assert json.loads(found[1]) == path
    return unpacked(json.loads(found[2]))


def unpacked(data):
    """Turn all packed columns in some data into arrays."""
    if isinstance(data, dict) and {*data} == {"kind", "data"}:
        return np.frombuffer(base64.b64decode(data["data"]), np.dtype(f"<{data['kind']}"))
    if isinstance(data, dict):
        return {name: unpacked(value) for name, value in data.items()}
    return [unpacked(value) for value in data] if isinstance(data, list) else data


def ids_of(split_data: dict) -> list[int]:
    """Return the example ids by position."""
    return [first + i for first, rows, _ in split_data["shards"] for i in range(rows)]
