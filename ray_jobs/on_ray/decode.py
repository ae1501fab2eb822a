"""Decoding shards as Ray Data tasks, next to the actors that score them.

Workers that decode import this module. It must not import torch, which would cost each of them
seconds and hundreds of megabytes.
"""

import json
from typing import Any

import numpy as np

from ray_jobs.on_ray.errors import telling
from scoring.data.shapes import InputShape
from scoring.data.shards import ShardRecord, read_shard
from scoring.store.storage import Storage

TASK = "task"
"""Column whose first row holds, as JSON, the shard's record and what to do with the shard."""


@telling
def decode(
    batch: dict[str, Any], storage: Storage, dataset: str, shape: InputShape
) -> dict[str, Any]:
    """Read and decode the shard that a one-row batch names; return its rows as columns."""
    task = batch[TASK][0]
    shard = read_shard(storage, dataset, ShardRecord(**json.loads(task)["record"]), shape)
    return {
        "ids": shard.ids,
        "labels": shard.labels,
        "inputs": shard.inputs,
        "decodable": shard.decodable,
        TASK: np.array([task] + [""] * (len(shard.ids) - 1), dtype=object),
    }
