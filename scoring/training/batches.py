"""From a training set in memory to batches: which rows, what they hold, and augmentation.

The dataset stays uint8 wherever it is, be it a read-only view of memory shared with other
processes; only the rows of a batch are ever copied. Rows, order and augmentation are drawn on the
CPU, so that they are the same on every device.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from scoring.data.training_set import TrainingSet
from scoring.run_spec import Recipe
from scoring.training.reproducible import generator

Gather = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows [B] int64 -> images [B, H, W, D] uint8, or texts [B, L] int16, and labels [B] int64, on the
training device."""

_CHUNK_ROWS = 4096  # rows copied at once on their way to the device


def subset_rows(rows: int, fraction: float, seed: int) -> Tensor:
    """The run's rows [round(fraction * rows)] int64: the start of a seeded permutation.

    At least one row; a smaller fraction of the same seed is contained in a larger one.
    """
    keep = max(1, round(fraction * rows))
    return torch.randperm(rows, generator=generator(seed, "subset"))[:keep]


def shuffled(rows: Tensor, batch_rows: int, stream: torch.Generator) -> Iterator[Tensor]:
    """One epoch: all `rows` in a new order, in batches of `batch_rows` and a rest.

    A rest of a single row joins the batch before it: BatchNorm cannot train on one.
    """
    order = rows[torch.randperm(len(rows), generator=stream)]
    batches = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    yield from batches


def gatherer(data: TrainingSet, device: torch.device) -> Gather:
    """How to gather batches: on a GPU if the set takes less than a quarter of what is free."""
    labels = torch.tensor(data.labels, dtype=torch.int64)
    if device.type == "cuda" and data.inputs.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
        return _resident(_copied_to(device, data), labels.to(device))

    def gather(rows: Tensor) -> tuple[Tensor, Tensor]:
        # NumPy gathers, because PyTorch takes no read-only array without a warning.
        inputs = torch.from_numpy(np.take(data.inputs, rows.numpy(), axis=0))
        return inputs.to(device), labels[rows].to(device)

    return gather


def _resident(inputs: Tensor, labels: Tensor) -> Gather:
    def gather(rows: Tensor) -> tuple[Tensor, Tensor]:
        there = rows.to(inputs.device)
        return inputs.index_select(0, there), labels.index_select(0, there)

    return gather


def _copied_to(device: torch.device, data: TrainingSet) -> Tensor:
    first = torch.from_numpy(np.array(data.inputs[:1]))
    inputs = torch.empty(data.inputs.shape, dtype=first.dtype, device=device)
    for start in range(0, len(data), _CHUNK_ROWS):
        chunk = np.array(data.inputs[start : start + _CHUNK_ROWS])  # a copy: writable
        inputs[start : start + _CHUNK_ROWS] = torch.from_numpy(chunk).to(device)
    return inputs


def augmented(images: Tensor, recipe: Recipe, stream: torch.Generator) -> Tensor:
    """Crop and flip each image at random.

    Args:
        images: [B, H, W, D] uint8.
        recipe: `crop` pixels of zeros are added on every side before a crop of the old size is
            taken anywhere; `flip` mirrors half of the images left to right.
        stream: CPU generator that offsets and flips are drawn from.

    Returns:
        [B, H, W, D] uint8; `images` itself where the recipe asks for nothing.
    """
    if not recipe.crop and not recipe.flip:
        return images
    count, height, width, _ = images.shape
    top, left = torch.randint(2 * recipe.crop + 1, (2, count, 1), generator=stream)
    rows = top + torch.arange(height)  # [B, H]
    columns = left + torch.arange(width)  # [B, W]
    if recipe.flip:
        mirrored = torch.rand(count, 1, generator=stream) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    which, rows, columns = (
        index.to(images.device)
        for index in (torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
    )
    return pad(images, (0, 0, *[recipe.crop] * 4))[which, rows, columns]
