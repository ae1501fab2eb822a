"""Nets that benchmarks train on real data: PROTOSCORE_TEST_DATA, by default ../shared/data."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn

from scoring.data.named import LOADERS
from scoring.data.training_set import TrainingSet
from scoring.nets import build
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.store.keys import Split
from scoring.training.loop import pays_bfloat16, train


@dataclass(frozen=True, kw_only=True)
class Case:
    """A net and its data."""

    dataset: str
    net: str
    rows: int
    """Training rows."""
    recipe: Recipe
    seed: int = 11
    """One that nothing was tuned on."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.dataset} {self.net}"


def trained(case: Case) -> nn.Module:
    """The net, trained afresh, in eval mode."""
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
    """The first [N, D, H, W] float32 in [0, 1]."""
    images, _ = arrays(dataset, split, rows)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)


def arrays(dataset: str, split: Split, rows: int) -> tuple[Any, Any]:
    """The first images [N, H, W, D] uint8 and labels [N] int64."""
    root = Path(os.environ.get("PROTOSCORE_TEST_DATA", "../shared/data"))
    if dataset in ("mnist", "fashion_mnist"):
        arrays = LOADERS[dataset](root, split)
        return arrays.images[:rows].copy(), arrays.labels[:rows].copy()
    table = pq.read_table(root / f"{dataset}_{split}.parquet")[:rows]
    files = (Image.open(io.BytesIO(image)) for image in table["image"].to_pylist())
    return np.stack([np.asarray(file.convert("RGB")) for file in files]), table[
        "label"
    ].to_numpy().astype(np.int64)
