"""Makes the signals that metrics read: the logits of finished runs on a shard, and the nets.

Each signal is made once for all metrics. Forward passes run model by model, weights come from a
cache with a byte budget, and all batches have one size (the last one is padded), so that a shard
gives the same bits whoever scores it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor, nn

from scoring.arrays import Ints
from scoring.data.shards import Shard
from scoring.errors import Damaged
from scoring.inputs import as_input
from scoring.logs import logger
from scoring.nets import Fitted
from scoring.runs.record import RunRecord, load_model, load_record
from scoring.staged.scores import read_logits, write_logits
from scoring.store.layout import logits_path
from scoring.store.parallel import do_in_parallel, in_parallel
from scoring.store.storage import Storage

_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignalOptions:
    """How signals are made; nothing here changes a value beyond float rounding."""

    batch_rows: int = 250
    device: str = "cpu"
    cache_bytes: int = 1 << 30
    """Weights to keep in memory between shards."""
    block_bytes: int = 256 << 20
    """Logits to hold at once, of all models, for metrics that need all of them together."""
    keep_outputs: bool = True
    """Keep logits in the store, so that one more run costs one more run."""


class Signals:
    """Makes the signals of one shard after another."""

    def __init__(self, storage: Storage, options: SignalOptions) -> None:
        self._storage = storage
        self._options = options
        self._models = model_cache(options.cache_bytes)
        self._records: dict[str, RunRecord] = {}

    def record(self, run: str) -> RunRecord:
        """Return the record of a finished run."""
        if run not in self._records:
            self._records[run] = load_record(self._storage, run)
        return self._records[run]

    def model(self, run: str, epoch: int = 0) -> Fitted:
        """Return a run's net, frozen, in eval mode: finished, or after that many epochs."""
        key = run, epoch
        if key not in self._models:
            with torch.inference_mode(mode=False):  # or no gradient could ever pass through it
                self._models[key] = load_model(
                    self._storage, self.record(run), self._options.device, epoch
                )
        return self._models[key]

    def epochs(self, run: str) -> int:
        """Return how many epochs' weights a finished run kept: all, or none if imported."""
        record = self.record(run)
        return record.epochs if record.spec.keep_epochs else 0

    def inputs(self, shard: Shard, rows: Ints) -> Tensor:
        """Return rows of a shard as the input of a net, on the device."""
        return as_input(torch.from_numpy(shard.inputs[rows]).to(self._options.device))

    def batches(self, rows: Ints) -> Iterator[tuple[int, Ints]]:
        """Split rows into batches of one size: (number of real rows, rows with padding)."""
        size = self._options.batch_rows
        for first in range(0, len(rows), size):
            real = rows[first : first + size]
            yield len(real), np.pad(real, (0, size - len(real)), mode="edge")

    def blocks(self, rows: int, floats_per_row: int) -> Iterator[Ints]:
        """Split rows into blocks of whole batches that fit the byte budget."""
        batch = self._options.batch_rows
        size = max(1, self._options.block_bytes // max(4 * floats_per_row * batch, 1)) * batch
        for first in range(0, rows, size):
            yield np.arange(first, min(first + size, rows))

    def logits(
        self, runs: Iterable[str], content: str, shard: Shard, classes: int
    ) -> Iterator[tuple[Ints, dict[str, Tensor]]]:
        """Make the logits of runs on a shard, in row blocks that fit the byte budget.

        Args:
            runs: keys of finished runs.
            content: the shard's content hash, under which its logits are kept.
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
                logits = in_parallel(partial(self._kept, content, shard, rows), keys)
            else:
                logits = (self._forward(key, shard, rows) for key in keys)
            yield rows, dict(zip(keys, logits, strict=True))

    def _keep(self, keys: Sequence[str], content: str, shard: Shard) -> None:
        """Store the logits that are missing; a model runs while the previous ones are written."""
        paths = {key: logits_path(key, content) for key in keys}
        stored = self._storage.existing(paths.values())
        rows = np.arange(len(shard.ids))
        do_in_parallel(
            lambda made: write_logits(self._storage, made[0], made[1].numpy()),
            (
                (path, self._forward(key, shard, rows))
                for key, path in paths.items()
                if path not in stored
            ),
        )

    def _kept(self, content: str, shard: Shard, rows: Ints, key: str) -> Tensor:
        path = logits_path(key, content)
        try:
            return torch.tensor(read_logits(self._storage, path)[rows])
        except Damaged as error:  # now set aside
            _log.warning("%s", error)
            self._keep([key], content, shard)
            return torch.tensor(read_logits(self._storage, path)[rows])

    def _forward(self, key: str, shard: Shard, rows: Ints) -> Tensor:
        model, parts = self.model(key), []
        with torch.inference_mode():
            for real, padded in self.batches(rows):
                parts.append(model(self.inputs(shard, padded))[:real].float().cpu())
        return torch.cat(parts)


def model_cache(budget: int) -> LRUCache[tuple[str, int], Fitted]:
    """Return a cache of models, by run and epoch, that holds `budget` bytes of weights.

    A larger model is held too, but alone.
    """
    budget = max(budget, 1)  # so that every model counts
    return LRUCache(budget, getsizeof=lambda model: min(_weight_bytes(model), budget))


def _weight_bytes(model: nn.Module) -> int:
    return sum(w.numel() * w.element_size() for w in model.state_dict().values())
