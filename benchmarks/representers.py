"""Compare representer points with the published solver and a plain search; measure how they scale.

The features are those of the paper's CNN on all of MNIST. Times are processor time of one thread.
The published solver is gradient descent with backtracking, as in the authors' code: full batches in
float32, steps halved from 10 until the loss falls by half of what the slope predicts, until the
mean gradient is below 1/200 of the first one, or for 500 iterations.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.memory import resident
from benchmarks.trained import Case, arrays, trained
from scoring.arrays import Floats, Floats32, Ints
from scoring.representers.decomposition import LayerAtRest, measure_exactness, recompose
from scoring.representers.explainer import SIGNS, Explainer
from scoring.representers.layer import Layer
from scoring.representers.layer_rows import LayerRows, OneHot
from scoring.representers.losses import SOFTMAX
from scoring.representers.matrix import FileMatrix
from scoring.representers.solve import Objective, minimise
from scoring.representers.strongest import Kernel, strongest
from scoring.run_spec import Recipe
from scoring.store.keys import Split
from scoring.store.scratch import Scratch

PENALTY, K, BLOCK = 0.003, 10, 200
TURNS = 3  # of our solver, which is the faster one; the median counts
TOLERANCE = 1e-8  # of the gradient when solvers are compared; real runs use 1e-9
CHECKED = 200  # test rows whose points are compared with a search in float64
_Found = dict[tuple[int, int], dict[int, Ints]]  # class and sign: test row: training rows
SIZES = (10_000, 100_000, 1_000_000)
WIDTH, CLASSES, QUERIES = 512, 10, 1000


@dataclass(frozen=True)
class _Case:
    """Features of a real net, and the start of its last layer."""

    train: Floats32
    test: Floats32
    targets: Floats32
    start: Tensor

    @property
    def objective(self) -> Objective:
        """The function to minimise."""
        return Objective(features=self.train, targets=self.targets, loss=SOFTMAX, penalty=PENALTY)


def measure() -> list[dict[str, Any]]:
    """Measure the time against the published solver, the residual, and the time of the search."""
    ambient = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        case = _features()
        return [*_solution(case), _search(case)]
    finally:
        torch.set_num_threads(ambient)


def scale() -> list[dict[str, Any]]:
    """Measure peak memory on the largest synthetic set, and time as N grows."""
    measured = [_in_child(rows) for rows in SIZES]
    times = ", ".join(
        f"{rows:.0e} rows: {solve:.1f} + {search:.1f} s, {peak:.0f} MB"
        for rows, (solve, search, peak) in zip(SIZES, measured, strict=True)
    )
    note = f"x {WIDTH}, {CLASSES} classes, {QUERIES} test rows, in a file; {times}"
    return [_figure("representer_memory_1e6_mb", measured[-1][2], "", note, unit="MB")]


def _figure(name: str, value: float, want: str, note: str, unit: str = "x") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "want": want, "note": note}


def _features() -> _Case:
    recipe = Recipe(learning_rate=1e-3, batch_rows=128, epochs=2)
    model = trained(Case(dataset="mnist", net="paper_cnn", rows=60_000, recipe=recipe))
    layer = Layer(model)  # type: ignore[arg-type]
    train, outputs = _see(layer, "train")
    test, _ = _see(layer, "test")
    targets = SOFTMAX.activation(outputs.double()).float().numpy()
    return _Case(train.numpy(), test.numpy(), targets, layer.weights)


def _see(layer: Layer, split: Split) -> tuple[Tensor, Tensor]:
    images, _ = arrays("mnist", split, 60_000)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(images), 1000):
            pixels = torch.from_numpy(images[first : first + 1000]).permute(0, 3, 1, 2)
            parts.append(layer.capture(pixels.float().div(255)))
    return torch.cat([p.features for p in parts]), torch.cat([p.outputs for p in parts])


def _solution(case: _Case) -> list[dict[str, Any]]:
    seconds = []
    for _ in range(TURNS):
        began = time.process_time()
        point = minimise(case.objective, case.start, TOLERANCE)
        seconds.append(time.process_time() - began)
    ours = statistics.median(seconds)
    began = time.process_time()
    weights, iterations = _published(case)
    theirs = time.process_time() - began
    rest = LayerAtRest(weights=point.weights, loss=SOFTMAX, penalty=PENALTY, rows=len(case.train))
    parts = recompose(rest, case.train, case.targets)
    found = measure_exactness(rest, parts, case.train, case.targets)
    left = case.objective.at(weights.double())
    error = (left.gradient @ torch.from_numpy(case.train).double().T).abs().max() / (2 * PENALTY)
    return [
        _figure(
            "representer_vs_gradient_descent_time",
            ours / theirs,
            "<= .067",
            f"{ours:.1f} s against {theirs:.1f} s ({iterations} iterations, residual "
            f"{float(error):.2g}), 60,000 x 257, C = 10",
        ),
        _figure(
            "representer_residual",
            found.residual,
            "<= 1e-3",
            f"gradient {point.gradient_norm:.1e}, Pearson on train {found.pearson:.5f}",
            unit="logit",
        ),
    ]


def _published(case: _Case) -> tuple[Tensor, int]:
    """Run the published solver; return its weights of least gradient and its iterations."""
    features, targets = torch.from_numpy(case.train), torch.from_numpy(case.targets)
    weights = case.start.T.clone().requires_grad_()

    def loss(weights: Tensor) -> Tensor:
        outputs = features @ weights
        fit = (outputs.logsumexp(dim=1) - (outputs * targets).sum(dim=1)).mean()
        return fit + PENALTY * weights.square().sum()

    first, best, least = 0.0, weights.detach(), torch.inf
    for iteration in range(500):
        value = loss(weights)
        (gradient,) = torch.autograd.grad(value, weights)
        size = float(gradient.abs().mean())
        first = first or size
        if size < least:
            best, least = weights.detach().clone(), size
        if size < first / 200:
            return best.T, iteration + 1
        step, square = 10.0, float(gradient.square().sum())
        with torch.no_grad():
            while loss(weights - step * gradient) - value + step * square / 2 >= 0:
                step /= 2
                if step < 1e-10:
                    return best.T, iteration + 1
            weights = (weights - step * gradient).requires_grad_()
    return best.T, 500


def _search(case: _Case) -> dict[str, Any]:
    point = minimise(case.objective, case.start, 1e-9)
    rest = LayerAtRest(weights=point.weights, loss=SOFTMAX, penalty=PENALTY, rows=len(case.train))
    train, test = torch.from_numpy(case.train), torch.from_numpy(case.test)
    alpha = rest.alpha(train, torch.from_numpy(case.targets))
    predicted = rest.outputs(test).argmax(dim=1)
    began = time.process_time()
    kernel = Kernel.from_features(case.train)
    found: _Found = {}
    for c in range(CLASSES):
        rows = (predicted == c).nonzero()[:, 0]
        for sign in SIGNS:
            best = strongest(kernel, alpha[:, c].numpy(), case.test[rows], K, sign)
            found[c, sign] = dict(zip(rows.tolist(), best.rows, strict=True))
    ours = time.process_time() - began
    began = time.process_time()
    _plain(train, test, alpha.float(), predicted)
    plain = time.process_time() - began
    same = _same(case, alpha.numpy(), predicted, found)
    return _figure(
        "topk_vs_float32_time",
        plain / ours,
        ">= 4",
        f"{len(test):,} x {len(train):,}, k = {K} of each sign: {plain:.1f} s against {ours:.2f} "
        f"s; {same} of {2 * CHECKED} sets as in float64",
    )


def _plain(train: Tensor, test: Tensor, alpha: Tensor, predicted: Tensor) -> None:
    """Compute all products in float32, block by block, and pick the strongest of each test row."""
    for rows in torch.split(torch.arange(len(test)), BLOCK):
        values = test[rows] @ train.T
        values *= alpha[:, predicted[rows]].T
        values.topk(K, dim=1)
        values.topk(K, dim=1, largest=False)


def _same(case: _Case, alpha: Floats, predicted: Tensor, found: _Found) -> int:
    """Count the point sets of some test rows that equal brute force in float64."""
    same = 0
    for t in np.random.default_rng(0).choice(len(case.test), CHECKED, replace=False):
        c = int(predicted[t])
        values = (case.train.astype(float) @ case.test[t].astype(float)) * alpha[:, c]
        for sign in SIGNS:
            best = np.argsort(-sign * values, kind="stable")[:K]
            same += set(best.tolist()) == set(found[c, sign][int(t)].tolist())
    return same


def _in_child(rows: int) -> tuple[float, float, float]:
    """Measure seconds to solve, seconds to search and peak growth in MB, in a new process."""
    command = [sys.executable, "-m", "benchmarks.representers", str(rows)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    solve, search, peak = map(float, output.split()[-3:])
    return solve, search, peak


def _synthetic(rows: int) -> None:
    """Explain test rows by a synthetic training set that is kept in a file."""
    torch.set_num_threads(1)
    draws = np.random.default_rng(0)
    mixing = draws.standard_normal((WIDTH, CLASSES)).astype(np.float32) / 16
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features"
        labels = np.empty(rows, dtype=np.int64)
        with path.open("wb") as file:
            for first in range(0, rows, 10_000):
                part = np.maximum(draws.standard_normal((10_000, WIDTH)), 0).astype(np.float32)
                part.tofile(file)
                noisy = part @ mixing + draws.gumbel(size=(10_000, CLASSES))
                labels[first : first + 10_000] = noisy.argmax(axis=1)
        features = FileMatrix(file=FileIO(path), shape=(rows, WIDTH))
        before = resident("VmRSS")
        targets, began = OneHot(labels, CLASSES), time.perf_counter()
        objective = Objective(
            features=features, targets=targets, loss=SOFTMAX, penalty=PENALTY, threads=2
        )
        rest = LayerAtRest(
            weights=minimise(objective).weights, loss=SOFTMAX, penalty=PENALTY, rows=rows
        )
        solved = time.perf_counter()
        training_rows = LayerRows(
            ids=np.arange(rows), labels=labels, features=features, outputs=targets
        )
        explainer = Explainer(
            training_rows, rest, targets, partial(Scratch(folder).take, "alpha", "0" * 32)
        )
        queries = np.maximum(draws.standard_normal((QUERIES, WIDTH)), 0).astype(np.float32)
        predicted = rest.outputs(torch.from_numpy(queries)).argmax(dim=1, keepdim=True)
        explainer.points(queries, predicted.numpy(), K)
        searched = time.perf_counter()
    peak = resident("VmHWM") - before
    print(solved - began, searched - solved, peak / (1 << 20))


if __name__ == "__main__":
    _synthetic(int(sys.argv[1]))
