"""Decoding shards as Ray Data tasks, beside the actors that score them.

Workers that decode import this module, so it stays free of torch, which would cost each of them
seconds and hundreds of megabytes.
"""

import json
from typing import Any

import numpy as np

from scoring.data.shapes import InputShape
from scoring.data.shards import ShardRecord, read_shard
from scoring.store.storage import Storage

ABOUT = "about"
"""Column whose first row says, as JSON, which shard it is and what is to be done with it."""


def decode(
    batch: dict[str, Any], storage: Storage, dataset: str, shape: InputShape
) -> dict[str, Any]:
    """Read and decode the shard that a batch of one row names; its rows become columns."""
    about = batch[ABOUT][0]
    shard = read_shard(storage, dataset, ShardRecord(**json.loads(about)["record"]), shape)
    return {
        "ids": shard.ids,
        "labels": shard.labels,
        "inputs": shard.inputs,
        "decodable": shard.decodable,
        ABOUT: np.array([about] + [""] * (len(shard.ids) - 1), dtype=object),
    }
