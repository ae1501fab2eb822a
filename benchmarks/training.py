"""Compare our training loop and DP-SGD with plain eager PyTorch, on the paper's CNN.

Both sides of a ratio take turns, epoch by epoch, in one process with one thread. The median over
rounds counts.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from scoring.data.training_set import TrainingSet
from scoring.inputs import as_input
from scoring.nets import build
from scoring.run_spec import NetSpec, Recipe
from scoring.training.batches import gatherer, shuffled_batches
from scoring.training.precision import pays_bfloat16
from scoring.training.private import private_step
from scoring.training.steps import optimizer_for, plain_step

SHAPE, CLASSES, ROWS = (28, 28, 1), 10, 1024
NET = NetSpec(name="paper_cnn")
PLAIN = Recipe(learning_rate=1e-3, batch_rows=128)
PRIVATE = Recipe(optimizer="sgd", learning_rate=0.1, batch_rows=256)
ROUNDS = 7


def measure() -> list[dict[str, Any]]:
    """Measure our speed relative to plain eager training, and DP-SGD's time relative to it."""
    ambient = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        eager, ours = _alternating(_eager_epoch(PLAIN), _our_epoch(PLAIN))
        plain, private = _alternating(_eager_epoch(PRIVATE), _private_epoch(PRIVATE))
    finally:
        torch.set_num_threads(ambient)
    dtype = "bf16" if pays_bfloat16(NET, "cpu") else "float32"
    return [
        {
            "name": "train_vs_eager",
            "value": eager / ours,
            "unit": "x",
            "want": ">= 1.8",
            "note": f"paper_cnn 28x28, batch 128, 1 thread; {dtype}, channels last; "
            f"eager {ROWS / eager:.0f} rows/s, ours {ROWS / ours:.0f} rows/s",
        },
        {
            "name": "dp_vs_plain",
            "value": private / plain,
            "unit": "x",
            "want": "<= 3.6",
            "note": f"paper_cnn 28x28, batch 256, 1 thread; ghost clipping in float32; "
            f"eager {ROWS / plain:.0f} rows/s, DP-SGD {ROWS / private:.0f} rows/s",
        },
    ]


def _alternating(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """Alternate two epochs; return the median seconds of each, without a warm-up round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for epoch, taken in zip((first, second), seconds, strict=True):
            began = time.process_time()
            epoch()
            taken.append(time.process_time() - began)
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


def _dataset() -> TrainingSet:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (ROWS, *SHAPE), dtype=np.uint8)
    return TrainingSet(
        ids=np.arange(len(images)),
        inputs=images,
        labels=numbers.integers(0, CLASSES, ROWS),
        classes=CLASSES,
    )


def _eager_epoch(recipe: Recipe) -> Callable[[], None]:
    """Build the loop anyone would write: float32 NCHW batches, already in memory."""
    data = _dataset()
    net: nn.Module = build(NET, shape=SHAPE, classes=CLASSES)
    optimizer = optimizer_for(net, recipe)
    images = torch.from_numpy(data.inputs).permute(0, 3, 1, 2).contiguous() / 255
    labels = torch.from_numpy(data.labels)
    batches: list[tuple[Tensor, Tensor]] = [
        (images[i : i + recipe.batch_rows].clone(), labels[i : i + recipe.batch_rows].clone())
        for i in range(0, ROWS, recipe.batch_rows)
    ]

    def epoch() -> None:
        for batch, truth in batches:
            optimizer.zero_grad()
            cross_entropy(net(batch), truth).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


def _our_epoch(recipe: Recipe) -> Callable[[], None]:
    net = build(NET, shape=SHAPE, classes=CLASSES).to(memory_format=torch.channels_last)
    step = plain_step(net, optimizer_for(net, recipe), bfloat16=pays_bfloat16(NET, "cpu"))
    return _epoch_of(step, recipe)


def _private_epoch(recipe: Recipe) -> Callable[[], None]:
    net = build(NET, shape=SHAPE, classes=CLASSES).to(memory_format=torch.channels_last)
    step = private_step(
        net,
        optimizer_for(net, recipe),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_rows=recipe.batch_rows,
        stream=torch.Generator().manual_seed(0),
    )
    return _epoch_of(step, recipe)


def _epoch_of(step: Callable[[Tensor, Tensor], Any], recipe: Recipe) -> Callable[[], None]:
    """Build an epoch of our loop, from uint8 to optimizer step, with as many rows."""
    gather = gatherer(_dataset(), torch.device("cpu"))
    order = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for rows in shuffled_batches(torch.arange(ROWS), recipe.batch_rows, order):
            images, labels = gather(rows)
            step(as_input(images), labels)

    return epoch
