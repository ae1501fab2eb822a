"""Make batches from a training set in memory: choose rows, gather them, augment images.

The dataset stays in its compact type (uint8 pixels, int16 tokens), perhaps as a read-only view of
memory shared with other processes; only the rows of a batch are copied. Rows, order and
augmentation are drawn on the CPU, so they are the same on every device.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from scoring.data.training_set import TrainingSet
from scoring.run_spec import Recipe, RunSpec
from scoring.training.reproducible import generator

Gather = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows [B] int64 -> images [B, H, W, D] uint8, or texts [B, L] int16, and labels [B] int64, on the
training device."""

_CHUNK_ROWS = 4096  # rows copied to the device at once


def training_rows(spec: RunSpec, data: TrainingSet) -> Tensor:
    """Return the rows that a run trains on, [K] int64, in an order drawn by its seed."""
    chosen = np.arange(len(data)) if data.chosen is None else data.chosen
    order = torch.randperm(len(chosen), generator=generator(spec.seed, "subset"))
    rows = chosen[order.numpy()]
    if spec.left_out:
        rows = rows[~spec.left_out.holds(data.ids[rows])]
    return torch.from_numpy(rows)


def shuffled_batches(rows: Tensor, batch_rows: int, stream: torch.Generator) -> Iterator[Tensor]:
    """Yield one epoch: all `rows` in a new order, in batches of `batch_rows` or fewer.

    A last batch of a single row joins the one before it, because BatchNorm cannot train on one row.
    """
    order = rows[torch.randperm(len(rows), generator=stream)]
    batches = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    yield from batches


def gatherer(data: TrainingSet, device: torch.device) -> Gather:
    """Return a function that gathers batches.

    The whole set moves to the GPU if it takes less than a quarter of the free memory there.
    """
    labels = torch.tensor(data.labels, dtype=torch.int64)
    if device.type == "cuda" and data.inputs.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
        return _resident_gatherer(_copy_inputs(data, device), labels.to(device))

    def gather(rows: Tensor) -> tuple[Tensor, Tensor]:
        # Gather with NumPy, because PyTorch warns about read-only arrays.
        inputs = torch.from_numpy(np.take(data.inputs, rows.numpy(), axis=0))
        return inputs.to(device), labels[rows].to(device)

    return gather


def _resident_gatherer(inputs: Tensor, labels: Tensor) -> Gather:
    def gather(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.to(inputs.device)
        return inputs.index_select(0, rows), labels.index_select(0, rows)

    return gather


def _copy_inputs(data: TrainingSet, device: torch.device) -> Tensor:
    first = torch.from_numpy(np.array(data.inputs[:1]))
    inputs = torch.empty(data.inputs.shape, dtype=first.dtype, device=device)
    for start in range(0, len(data), _CHUNK_ROWS):
        chunk = np.array(data.inputs[start : start + _CHUNK_ROWS])  # a writable copy
        inputs[start : start + _CHUNK_ROWS] = torch.from_numpy(chunk).to(device)
    return inputs


def augment(images: Tensor, recipe: Recipe, stream: torch.Generator) -> Tensor:
    """Crop and flip each image at random.

    Args:
        images: [B, H, W, D] uint8.
        recipe: `crop` pads every side with that many zero pixels, then crops to the old size at a
            random offset; `flip` mirrors half of the images left to right.
        stream: CPU generator that offsets and flips are drawn from.

    Returns:
        [B, H, W, D] uint8; `images` itself if the recipe has no augmentation.
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
