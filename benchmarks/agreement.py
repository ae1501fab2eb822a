"""Compare `agr` with its formula taken literally: a loop over all ordered pairs of models.

The loop is vectorised over examples, in float32 with PyTorch, which is faster here than NumPy. Both
sides get the same probabilities and take turns in one process on one thread. CPU seconds are
compared, so that other work on the machine counts for neither.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scoring.metrics.agr import mean_jensen_shannon

MODELS, ROWS, CLASSES = 100, 10_000, 10
TURNS, CALLS = 3, 5


def literal_loop(probabilities: Tensor) -> Tensor:
    """Compute (1/M^2) sum_ij JS(f_i, f_j), [N], from probabilities [M, N, C]."""
    models, rows, _ = probabilities.shape
    total = torch.zeros(rows)
    for p in probabilities:
        for q in probabilities:
            m = (p + q) / 2
            total += ((p * (p / m).log()).sum(dim=1) + (q * (q / m).log()).sum(dim=1)) / 2
    return total / models**2


def measure() -> list[dict[str, Any]]:
    """Measure the ratio of the loop's median time to that of `agr`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loop, ours = _take_turns(_ensemble())
    finally:
        torch.set_num_threads(threads)
    note = (
        f"M = {MODELS}, C = {CLASSES}, {ROWS} examples, float32, one thread: literal loop "
        f"{loop:.2f} CPU s, agr {ours:.3f} CPU s; medians of {TURNS} turns"
    )
    return [
        {"name": "agr_vs_loop", "value": loop / ours, "unit": "x", "want": ">= 15", "note": note}
    ]


def _ensemble() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    common = 3 * torch.randn(1, ROWS, CLASSES, generator=generator)
    return torch.softmax(common + torch.randn(MODELS, ROWS, CLASSES, generator=generator), dim=2)


def _take_turns(probabilities: Tensor) -> tuple[float, float]:
    """Return the median CPU seconds of the loop and of `agr`, which makes several calls a turn."""
    array = probabilities.numpy()
    got = torch.from_numpy(mean_jensen_shannon(array)).float()  # the first call is not timed
    torch.testing.assert_close(got, literal_loop(probabilities), rtol=1e-3, atol=1e-6)
    loop, ours = [], []
    for _ in range(TURNS):
        loop.append(_seconds(lambda: literal_loop(probabilities)))
        ours.append(_seconds(lambda: mean_jensen_shannon(array), CALLS))
    return statistics.median(loop), statistics.median(ours)


def _seconds(work: Callable[[], object], calls: int = 1) -> float:
    """Return the CPU seconds of one call."""
    begin = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - begin) / calls


if __name__ == "__main__":
    print(measure())
