"""The page of explained examples: the examples, their strongest points, sensitivity maps."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import ExplainPlan
from scoring.arrays import Floats, Floats32, Ints
from scoring.data.shard_parts import read_columns, read_images, read_texts
from scoring.data.shards import ShardRecord
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.inputs import as_input
from scoring.report.explanation_pages import Content, ShownExample, ShownPoint, render_explanations
from scoring.representers.layer import Layer
from scoring.representers.sensitivity import sensitivity_maps
from scoring.runs.record import load_model
from scoring.staged.features import read_features
from scoring.store.layout import features_path

_NOISE = 0.1  # SmoothGrad's, in units of a pixel's range (Smilkov et al. 2017, section 3.1)

Row = Mapping[str, Any]


def explanation_page(
    plan: ExplainPlan, rows: Sequence[Row], subtitle: str, flags: ExplainFlags
) -> str:
    """Draw the page of some examples.

    Args:
        plan: the explanation.
        rows: rows of `representers`, with class names in place of indices.
        subtitle: one line about the layer.
        flags: what to draw, and the report to link to.
    """
    layer = Layer(load_model(plan.storage, plan.base, "cpu"), plan.representer.layer)
    ids = _ids(row["test_id"] for row in rows)
    tests, trains, names = {}, {}, _names(plan, ids)
    if flags.images:
        tests = contents(plan, plan.explained, ids)
        trains = contents(plan, plan.versions["train"], _ids(row["train_id"] for row in rows))
    features = _features(plan, _ids(row["train_id"] for row in rows))
    shown = []
    for group in _by_output(rows):
        first = group[0]
        maps = _maps(layer, tests.get(first["test_id"]), group, features, flags.smooth)
        points = [_point(row, trains, map_) for row, map_ in zip(group, maps, strict=True)]
        shown.append(
            ShownExample(
                test_id=first["test_id"],
                name=names.get(first["test_id"], ""),
                label=str(first["label"]),
                predicted=str(first["predicted"]),
                output=str(first["class"]),
                content=tests.get(first["test_id"]),
                excitatory=[point for point in points if point.value > 0],
                inhibitory=[point for point in points if point.value < 0],
            )
        )
    return render_explanations(
        f"{plan.dataset}, {plan.split} split",
        subtitle,
        shown,
        split=plan.split,
        report=flags.report.rstrip("/"),
    )


def _by_output(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Group rows by example and output, in order."""
    groups: dict[tuple[int, Any], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["test_id"], row["class"]].append(row)
    return groups.values()


def _point(row: Row, trains: Mapping[int, Content], sensitivity: Floats | None) -> ShownPoint:
    return ShownPoint(
        train_id=row["train_id"],
        label=str(row["train_label"]),
        content=trains.get(row["train_id"]),
        sensitivity=sensitivity,
        value=row["value"],
        alpha=row["alpha"],
        similarity=row["similarity"],
    )


def _maps(
    layer: Layer,
    content: Content | None,
    rows: Sequence[Row],
    features: Mapping[int, Floats32],
    copies: int,
) -> Sequence[Floats | None]:
    """Return the sensitivity maps [H, W] of K points, summed over channels.

    None of each if the example is a text, or is not shown.
    """
    if content is None or isinstance(content, str):
        return [None] * len(rows)
    pixels = as_input(torch.from_numpy(content[None].copy()))[0]
    maps = sensitivity_maps(
        layer,
        pixels,
        torch.from_numpy(np.stack([features[row["train_id"]] for row in rows])),
        torch.tensor([row["alpha"] for row in rows], dtype=torch.float64),
        copies=copies,
        noise=_NOISE if copies > 1 else 0.0,
    )
    summed: Floats = maps.sum(dim=1).double().numpy()
    return list(summed)


def contents(plan: ExplainPlan, version: DatasetVersion, ids: Ints) -> dict[int, Content]:
    """Read the images or texts of some examples, leaving out those that cannot be read."""
    found: dict[int, Content] = {}
    for shard, inside in _by_shard(version, ids):
        if isinstance(version.shape, TextShape):
            found |= read_texts(plan.storage, version.name, shard, version.shape, inside)
        else:
            found |= read_images(plan.storage, version.name, shard, version.shape, inside)
    return found


def _ids(ids: Iterable[int]) -> Ints:
    """Return ids sorted, each once."""
    return np.array(sorted(set(ids)), dtype=np.int64)


def _by_shard(version: DatasetVersion, ids: Ints) -> Iterable[tuple[ShardRecord, Ints]]:
    """Yield each shard that holds some of the ids, with those it holds."""
    for shard in version.shards:
        inside = ids[(ids >= shard.first_id) & (ids < shard.first_id + shard.rows)]
        if len(inside):
            yield shard, inside


def _names(plan: ExplainPlan, ids: Ints) -> dict[int, str]:
    """Return the names of some explained examples."""
    found: dict[int, str] = {}
    columns = ("example_id", "name")
    for shard, inside in _by_shard(plan.explained, ids):
        table = read_columns(plan.storage, plan.explained.name, shard, columns)
        named = zip(*(table[column].to_pylist() for column in columns), strict=True)
        found |= {i: name or "" for i, name in named if i in inside}
    return found


def _features(plan: ExplainPlan, ids: Ints) -> dict[int, Floats32]:
    """Return the features of some training examples."""
    found: dict[int, Floats32] = {}
    for shard, inside in _by_shard(plan.versions["train"], ids):
        path = features_path(plan.base.key, plan.representer.layer, shard.content)
        staged = read_features(plan.storage, path)
        rows = np.flatnonzero(np.isin(staged.ids, inside))
        found |= {int(staged.ids[row]): staged.features[row] for row in rows}
    return found
