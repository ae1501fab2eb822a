"""Nets trained for benchmarks on real data, found in PROTOSCORE_TEST_DATA (../shared/data)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from scoring.data.images import open_image
from scoring.data.named import LOADERS
from scoring.data.training_set import TrainingSet
from scoring.nets import build
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.store.keys import Split
from scoring.training.loop import train
from scoring.training.precision import pays_bfloat16


@dataclass(frozen=True, kw_only=True)
class Case:
    """A net and the data it is trained on."""

    dataset: str
    net: str
    rows: int
    """Training rows."""
    recipe: Recipe
    seed: int = 11
    """A seed that was not used for tuning."""

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.dataset} {self.net}"


def trained(case: Case) -> nn.Module:
    """Train the net and return it in eval mode."""
    images, labels = arrays(case.dataset, "train", case.rows)
    spec = NetSpec(name=case.net)
    run = RunSpec(
        kind="plain",
        split="train",
        net=spec,
        recipe=case.recipe,
        seed=case.seed,
        dtype="bfloat16" if pays_bfloat16(spec, "cpu") else "float32",
    )
    weights = train(
        run, TrainingSet(ids=np.arange(len(images)), inputs=images, labels=labels, classes=10)
    ).weights
    model = build(spec, shape=images.shape[1:], classes=10)
    model.net.load_state_dict(weights)
    return model.eval().to(memory_format=torch.channels_last)


def images_of(dataset: str, split: Split, rows: int) -> Tensor:
    """Return the first images [N, D, H, W] float32 in [0, 1]."""
    images, _ = arrays(dataset, split, rows)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)


def arrays(dataset: str, split: Split, rows: int) -> tuple[Any, Any]:
    """Return the first images [N, H, W, D] uint8 and labels [N] int64."""
    root = Path(os.environ.get("PROTOSCORE_TEST_DATA", "../shared/data"))
    if dataset in ("mnist", "fashion_mnist"):
        loaded = LOADERS[dataset](root, split)
        return loaded.images[:rows].copy(), loaded.labels[:rows].copy()
    table = pq.read_table(root / f"{dataset}_{split}.parquet")[:rows]
    files = (open_image(image) for image in table["image"].to_pylist())
    images = np.stack([np.asarray(file.convert("RGB")) for file in files])
    return images, table["label"].to_numpy().astype(np.int64)
