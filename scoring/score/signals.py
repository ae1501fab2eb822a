"""What metrics fold: the logits of finished runs on a shard, and the base model itself.

Each signal is made once for all metrics. Forward passes run model by model, weights come from a
byte-budgeted cache, and batches have one fixed size (the last one padded), so that the same shard
gives the same bits whoever scores it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from scoring.arrays import Ints
from scoring.data.shards import Shard
from scoring.inputs import as_input
from scoring.runs.record import RunRecord, load_model, load_record
from scoring.staged.scores import read_logits, write_logits
from scoring.store.layout import logits_path
from scoring.store.parallel import do_in_parallel, in_parallel
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class SignalOptions:
    """How signals are made; nothing here changes a value beyond float rounding."""

    batch_rows: int = 250
    device: str = "cpu"
    cache_bytes: int = 1 << 30
    """Weights kept in memory between shards."""
    block_bytes: int = 256 << 20
    """Logits of all models held at once, for the metrics that need all of them together."""
    keep_outputs: bool = True
    """Keep logits in the store, so that one more run costs one more run."""


class ModelCache:
    """Finished runs in memory, least recently used out first, under a byte budget."""

    def __init__(self, storage: Storage, device: str, budget: int) -> None:
        self._storage = storage
        self._device = device
        self._budget = budget
        self._models: OrderedDict[tuple[str, int], tuple[nn.Module, int]] = OrderedDict()

    def get(self, run: str, epoch: int = 0) -> nn.Module:
        """The run's net, frozen, in eval mode; finished, or after so many epochs."""
        key = run, epoch
        if key not in self._models:
            record = load_record(self._storage, run)
            with torch.inference_mode(mode=False):  # or no gradient could ever pass through it
                model = load_model(self._storage, record, self._device, epoch)
            size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
            held = sum(held for _, held in self._models.values())
            while self._models and held + size > self._budget:
                held -= self._models.popitem(last=False)[1][1]
            self._models[key] = (model, size)
        self._models.move_to_end(key)
        return self._models[key][0]


class Signals:
    """Makes the signals of one shard after another."""

    def __init__(self, storage: Storage, options: SignalOptions) -> None:
        self._storage = storage
        self._options = options
        self._models = ModelCache(storage, options.device, options.cache_bytes)
        self._records: dict[str, RunRecord] = {}

    def record(self, run: str) -> RunRecord:
        """What is known of a finished run."""
        if run not in self._records:
            self._records[run] = load_record(self._storage, run)
        return self._records[run]

    def model(self, run: str, epoch: int = 0) -> nn.Module:
        """The net of a run, finished or after so many epochs; frozen, in eval mode."""
        return self._models.get(run, epoch)

    def epochs(self, run: str) -> int:
        """How many epochs' weights a finished run kept: all or, as imported ones, none."""
        record = self.record(run)
        return record.epochs if record.spec.keep_epochs else 0

    def inputs(self, shard: Shard, rows: Ints) -> Tensor:
        """Rows of a shard as a net takes them, on the device."""
        return as_input(torch.from_numpy(shard.inputs[rows]).to(self._options.device))

    def batches(self, rows: Ints) -> Iterator[tuple[int, Ints]]:
        """Rows in batches of the fixed size: (how many are real, rows with padding)."""
        size = self._options.batch_rows
        for first in range(0, len(rows), size):
            real = rows[first : first + size]
            yield len(real), np.pad(real, (0, size - len(real)), mode="edge")

    def logits(
        self, runs: Iterable[str], content: str, shard: Shard, classes: int
    ) -> Iterator[tuple[Ints, dict[str, Tensor]]]:
        """Logits of all `runs` on a shard, in row blocks that fit the byte budget.

        Args:
            runs: keys of finished runs.
            content: the shard's content hash, which names its kept logits.
            shard: N decoded rows.
            classes: C, the width of the heads.

        Yields:
            (rows of the block, run key to [rows, C] float32 on the CPU).
        """
        keys = list(runs)
        if self._options.keep_outputs:
            self._keep(keys, content, shard)
        for rows in self.blocks(len(shard.ids), classes * len(keys)):
            if self._options.keep_outputs:
                logits = in_parallel(partial(self._kept, content, rows), keys)
            else:
                logits = (self._forward(key, shard, rows) for key in keys)
            yield rows, dict(zip(keys, logits, strict=True))

    def _keep(self, keys: Sequence[str], content: str, shard: Shard) -> None:
        """Store the logits that are missing; models run on while earlier ones are written."""
        paths = {key: logits_path(key, content) for key in keys}
        there = self._storage.existing(paths.values())
        every = np.arange(len(shard.ids))
        do_in_parallel(
            lambda made: write_logits(self._storage, made[0], made[1].numpy()),
            (
                (path, self._forward(k, shard, every))
                for k, path in paths.items()
                if path not in there
            ),
        )

    def _kept(self, content: str, rows: Ints, key: str) -> Tensor:
        return torch.tensor(read_logits(self._storage, logits_path(key, content))[rows])

    def _forward(self, key: str, shard: Shard, rows: Ints) -> Tensor:
        model, parts = self.model(key), []
        with torch.inference_mode():
            for real, padded in self.batches(rows):
                parts.append(model(self.inputs(shard, padded))[:real].float().cpu())
        return torch.cat(parts)

    def blocks(self, rows: int, floats_per_row: int) -> Iterator[Ints]:
        """Row blocks of whole batches, of which so much is held, that fit the byte budget."""
        batch = self._options.batch_rows
        size = max(1, self._options.block_bytes // max(4 * floats_per_row * batch, 1)) * batch
        for first in range(0, rows, size):
            yield np.arange(first, min(first + size, rows))
