"""Compare VoG and training dynamics with their bare passes and with a per-example loop.

The net is the paper's CNN, on real Fashion-MNIST images. Times are processor time of one thread:
all methods take turns, and the shortest turn of each counts. Memory is the growth of a process's
peak while it scores.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.memory import resident
from benchmarks.trained import arrays
from scoring.data.shards import Shard
from scoring.data.training_set import TrainingSet
from scoring.registry import metrics
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.runs.record import identify
from scoring.runs.train_one import train_run
from scoring.score.signals import SignalOptions, Signals
from scoring.score.trajectories import Folding, Trajectories
from scoring.spec import FoldedMetric, Signal
from scoring.store.storage import Storage

EPOCHS, ROWS, TURNS = 5, 1000, 3
SLOW_ROWS = 100
BATCH = 250
_CACHE = 8 << 20  # bytes, two checkpoints: already full with three, so growth is not the cache


def measure() -> list[dict[str, Any]]:
    """Measure four figures on one store of checkpoints."""
    ambient = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            times = _times(folder)
            memory = [_growth(folder, epochs) for epochs in (3, 30)]
    finally:
        torch.set_num_threads(ambient)
    note = f"{EPOCHS} checkpoints of the paper's CNN, {ROWS} images"
    return [
        _figure("vog_vs_floor", times["vog"] / times["floor"], "<= 1.1", note),
        _figure(
            "vog_vs_per_example_loop",
            times["loop"] / times["vog"],
            ">= 3",
            f"{note}; x.grad after backward(); {times['frozen'] / times['vog']:.2f} if "
            "parameters need no gradient",
        ),
        _figure(
            "vog_memory_k30_vs_k3",
            memory[1] / memory[0],
            "<= 1.05",
            f"growth while scoring {ROWS} images: {memory[1] >> 20} and {memory[0] >> 20} MB",
        ),
        _figure("dynamics_extra", times["all"] / times["vog"], "<= 1.1", "all folds of logits"),
    ]


def _figure(name: str, value: float, want: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": "x", "want": want, "note": note}


def _times(folder: str) -> dict[str, float]:
    """Return the shortest time of each method, in seconds for all images."""
    shard, run = _shard(), _train(folder, EPOCHS)
    signals = Signals(Storage(folder), SignalOptions(batch_rows=BATCH))
    nets = [signals.model(run, epoch) for epoch in range(1, EPOCHS + 1)]
    trainable = [deepcopy(net).requires_grad_() for net in nets]
    logits = [
        spec.name
        for spec in metrics().values()
        if isinstance(spec, FoldedMetric)
        and spec.signal is Signal.CHECKPOINTS
        and spec.gradient is None
    ]
    methods: dict[str, Callable[[], object]] = {
        "floor": lambda: _floor(signals, nets, shard),
        "vog": lambda: _watch(signals, run, ["vog"], shard),
        "all": lambda: _watch(signals, run, ["vog", *logits], shard),
        "loop": lambda: _loop(signals, trainable, shard),
        "frozen": lambda: _loop(signals, nets, shard),
    }
    seconds = dict.fromkeys(methods, np.inf)
    for _ in range(TURNS):
        for name, method in methods.items():
            began = time.process_time()
            method()
            seconds[name] = min(seconds[name], time.process_time() - began)
    share = SLOW_ROWS / ROWS
    return {**seconds, "loop": seconds["loop"] / share, "frozen": seconds["frozen"] / share}


def _watch(signals: Signals, run: str, names: Sequence[str], shard: Shard) -> None:
    specs = [metrics()[name] for name in names]
    foldings = [Folding(spec, spec.config()) for spec in specs if isinstance(spec, FoldedMetric)]
    trajectories = Trajectories(signals, {run: signals.epochs(run)}, foldings)
    for rows in signals.blocks(len(shard.ids), trajectories.floats(shard)):
        trajectories.columns(shard, rows, classes=10)


def _floor(signals: Signals, nets: Sequence[nn.Module], shard: Shard) -> None:
    """Make only the passes: forward, and backward to the input, for each net and batch."""
    for _, rows in signals.batches(np.arange(len(shard.ids))):
        images, labels = signals.inputs(shard, rows), torch.from_numpy(shard.labels[rows])
        for net in nets:
            points = images.detach().requires_grad_()
            scores = net(points).gather(1, labels.unsqueeze(1))
            torch.autograd.grad(scores.sum(), points)


def _loop(signals: Signals, nets: Sequence[nn.Module], shard: Shard) -> None:
    """Take one example at a time and keep all gradients, as other implementations do."""
    for row in range(SLOW_ROWS):
        gradients = []
        for net in nets:
            net.zero_grad()
            point = signals.inputs(shard, np.array([row])).requires_grad_()
            net(point)[0, shard.labels[row]].backward()
            assert point.grad is not None
            gradients.append(point.grad.mean(dim=1))
        torch.stack(gradients).std(dim=0, correction=0).mean()


def _growth(folder: str, epochs: int) -> int:
    """Return the bytes by which a new process's peak grows while it scores `epochs` checkpoints."""
    run = _train(folder, epochs)
    command = [sys.executable, "-m", "benchmarks.dynamics", folder, run]
    # Return freed memory at once, so that the peak excludes what malloc would keep.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return int(json.loads(done.stdout))


def _train(folder: str, epochs: int) -> str:
    """Train a run that keeps every epoch; a few rows suffice to make the weights differ."""
    images, labels = arrays("fashion_mnist", "train", 128)
    data = TrainingSet(ids=np.arange(len(images)), inputs=images, labels=labels, classes=10)
    spec = RunSpec(
        kind="plain",
        split="train",
        net=NetSpec(name="paper_cnn"),
        recipe=Recipe(batch_rows=32, epochs=epochs),
        keep_epochs=True,
    )
    run = identify(spec, {"train": "1", "test": "2"})
    train_run(Storage(folder), run, {"train": "1", "test": "2"}, {"train": data, "test": data})
    return run.key


def _shard() -> Shard:
    images, labels = arrays("fashion_mnist", "test", ROWS)
    ids = np.arange(ROWS)
    return Shard(ids=ids, labels=labels, inputs=images, decodable=np.full(ROWS, True))


def main(folder: str, run: str) -> None:
    """Print how many bytes the peak grows while all `vog` metrics are scored."""
    torch.set_num_threads(1)
    shard = _shard()
    options = SignalOptions(batch_rows=BATCH, cache_bytes=_CACHE)
    signals = Signals(Storage(folder), options)
    before = resident("VmRSS")
    _watch(signals, run, [name for name in metrics() if name.startswith("vog")], shard)
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
