"""What a run makes of each example in every epoch, added up while it trains.

    probability = (1/K) sum_k f_k(x)_label
    margin      = (1/K) sum_k ( z_k(x)_label - max_{c != label} z_k(x)_c )
    wrong_since = the first epoch from which argmax z_k(x) is never the label again, K + 1 if
                  argmax z_K(x) = label                              k = 1 ... K epochs, z = logits

The rows that a member of an ensemble trains on are taken as they go by, in training mode, before
the step on their batch (Pleiss et al. 2020, arXiv:2001.10528, section 3.1). The rows that it leaves
out take a forward pass in eval mode at the end of each epoch, and so do all rows of its parent's
split in a fine-tuned run. Looking draws no random numbers of the training's and leaves the net as
it was, so that the weights are those of a training that nobody looks at.

Of the rows that a member leaves out, it keeps the mean probabilities of all classes too, if there
are at most fifty.

Memory: two columns of four bytes, or one, for each row; four bytes a class for each row left out.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from scoring.arrays import Bools, Ints
from scoring.data.training_set import TrainingSet
from scoring.folds.dynamics import OfCheckpoint, label_probability, margin, right
from scoring.folds.moments import next_mean
from scoring.folds.probabilities import ALL_CLASSES
from scoring.inputs import as_input
from scoring.run_spec import RunSpec
from scoring.runs.tally_file import TallyRows
from scoring.store.keys import Split
from scoring.training.loop import Training
from scoring.training.resumable import State
from scoring.training.steps import BatchResult

_ROWS = 1000  # to pass forward at once
_WAITING = 1 << 20  # logits of batches that are held before they are added up
_ALL = "probabilities"
_PREFIX = "tally."  # of the names of its tensors in the state of an unfinished training

_Update = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""(column [B] so far, logits [B, C] float64, labels [B], epoch from 1) -> column [B]."""


def _mean_of(of_logits: OfCheckpoint) -> _Update:
    def update(before: Tensor, logits: Tensor, labels: Tensor, epoch: int) -> Tensor:
        return next_mean(before.double(), of_logits(logits, labels).cpu(), epoch).float()

    return update


def _since(before: Tensor, logits: Tensor, labels: Tensor, epoch: int) -> Tensor:
    """Return the epoch from which rows are wrong, 0 where they are right."""
    since = before.masked_fill(before == 0, epoch)
    return since.masked_fill(right(logits, labels).cpu(), 0)


_MEANS: Mapping[str, _Update] = {
    "probability": _mean_of(label_probability),
    "margin": _mean_of(margin),
}
_SINCE: Mapping[str, _Update] = {"wrong_since": _since}


class Tallying:
    """Adds up what one run makes of the examples of a split."""

    def __init__(self, spec: RunSpec, data: TrainingSet, seen: Bools) -> None:
        """Begin before the first epoch.

        Args:
            spec: the run.
            data: the N examples to look at.
            seen: [N] whether the run trains on them.
        """
        self._spec = spec
        self._data = data
        self._seen = seen
        self._unseen = np.flatnonzero(~seen)
        self._updates = _SINCE if spec.kind == "finetuned" else _MEANS
        self._columns = {name: torch.zeros(len(data)) for name in self._updates}
        if spec.kind != "finetuned" and data.classes <= ALL_CLASSES:
            self._columns[_ALL] = torch.zeros(len(self._unseen), data.classes)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def begin(cls, spec: RunSpec, data: Mapping[Split, TrainingSet]) -> "Tallying | None":
        """Return the tally that a run keeps; None if it keeps none, as on a slice of a split."""
        if spec.tallies is None or any(rows.chosen is not None for rows in data.values()):
            return None
        return cls(spec, data[spec.tallies], _trained_on(spec, data[spec.tallies].ids))

    def on_batch(self, epoch: int, rows: Tensor, result: BatchResult) -> None:
        """Take the rows of a batch, if they are of the split that is looked at."""
        if self._spec.tallies != self._spec.split or result.logits is None:
            return
        self._waiting.append((rows, result.logits))
        if sum(logits.numel() for _, logits in self._waiting) >= _WAITING:
            self._add_waiting(epoch)

    def end_epoch(self, training: Training) -> None:
        """Look at the rows that the epoch did not train on."""
        epoch = len(training.losses)
        self._add_waiting(epoch)
        bfloat16 = self._spec.dtype == "bfloat16"
        with _looking(training.model, training.device):
            for first in range(0, len(self._unseen), _ROWS):
                rows = self._unseen[first : first + _ROWS]
                decoded = torch.from_numpy(np.take(self._data.inputs, rows, axis=0))
                inputs = as_input(decoded.to(training.device))
                with torch.autocast(training.device, torch.bfloat16, enabled=bfloat16):
                    logits = training.model(inputs)
                self._add(epoch, torch.from_numpy(rows), logits)
                self._add_probabilities(epoch, slice(first, first + _ROWS), logits)

    def save(self) -> dict[str, Tensor]:
        """Copy the state after an epoch, for the state of an unfinished training."""
        return {f"{_PREFIX}{name}": column.clone() for name, column in self._columns.items()}

    def load(self, state: State) -> bool:
        """Restore a saved state; return False if there is none, as earlier versions saved none."""
        saved = {name: state.get(f"{_PREFIX}{name}") for name in self._columns}
        self._columns = {name: column for name, column in saved.items() if column is not None}
        return self._columns.keys() == saved.keys()

    def finish(self, epochs: int) -> TallyRows:
        """Return what was added up over all epochs."""
        columns = {name: self._columns[name].numpy() for name in self._updates}
        of_unseen = self._columns.get(_ALL)
        if (since := columns.get("wrong_since")) is not None:
            columns["wrong_since"] = np.where(since == 0, np.float32(epochs + 1), since)
        return TallyRows(
            ids=self._data.ids,
            labels=self._data.labels,
            seen=self._seen,
            epochs=epochs,
            columns=columns,
            of_unseen=None if of_unseen is None else of_unseen.numpy(),
        )

    def _add_waiting(self, epoch: int) -> None:
        if self._waiting:
            rows, logits = (torch.cat(parts) for parts in zip(*self._waiting, strict=True))
            self._waiting = []
            self._add(epoch, rows, logits)

    def _add(self, epoch: int, rows: Tensor, logits: Tensor) -> None:
        """Add what an epoch makes of some rows [B], given their logits [B, C]."""
        labels = torch.from_numpy(self._data.labels[rows.numpy()]).to(logits.device)
        for name, update in self._updates.items():
            column = self._columns[name]
            column[rows] = update(column[rows], logits.double(), labels, epoch)

    def _add_probabilities(self, epoch: int, places: slice, logits: Tensor) -> None:
        """Add the probabilities of some of the unseen rows, given their logits [B, C]."""
        if (column := self._columns.get(_ALL)) is not None:
            now = torch.softmax(logits.double(), dim=1).cpu()
            column[places] = next_mean(column[places].double(), now, epoch).float()


def _trained_on(spec: RunSpec, ids: Ints) -> Bools:
    """Return whether a run trains on each example [N] of the split that it looks at."""
    if spec.tallies != spec.split:
        return np.zeros(len(ids), dtype=bool)
    return ~spec.left_out.holds(ids) if spec.left_out else np.ones(len(ids), dtype=bool)


@contextmanager
def _looking(model: nn.Module, device: str) -> Iterator[None]:
    """Put a net into eval mode; then restore each layer's mode, and the random state."""
    modes = {module: module.training for module in model.modules()}
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    model.eval()
    try:
        with torch.random.fork_rng(gpus), torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
