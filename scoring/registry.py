"""Finds every metric: the module-level `METRIC` of each file in `scoring/metrics/`."""

import importlib
import pkgutil
import sys
from functools import cache
from types import ModuleType

import scoring.metrics
from scoring.errors import UnknownName
from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.spec import Metric

_BESIDES = {declared.name: declared for declared in (PREDICTED, PROBABILITIES)}
"""What is computed like a metric and published in other ways."""


@cache
def metrics() -> dict[str, Metric]:
    """Return every published metric by name, sorted.

    Raises:
        TypeError: a file of `scoring/metrics/` breaks a rule of `find`.
    """
    return find(scoring.metrics)


def metric(name: str) -> Metric:
    """Return the published metric of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in metrics():
        raise UnknownName("--metrics", name, metrics())
    return metrics()[name]


def metric_or_prediction(name: str) -> Metric:
    """Return what is computed under `name`: a metric, the predicted class or the probabilities.

    Raises:
        UnknownName: it is none of them.
    """
    return _BESIDES[name] if name in _BESIDES else metric(name)


def find(package: ModuleType) -> dict[str, Metric]:
    """Return the metrics of a package, one per module, sorted by name.

    Raises:
        TypeError: a module has no METRIC, or its name is not the module's, or the name is taken.
    """
    found: dict[str, Metric] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        path = f"{package.__name__}.{module.name}"
        declared = getattr(importlib.import_module(path), "METRIC", None)
        if not isinstance(declared, Metric):
            raise TypeError(
                f"{path}: expected METRIC to be a FoldedMetric or a ModelMetric, got {declared!r}"
            )
        if declared.name != module.name:
            raise TypeError(
                f"{path}: expected a metric named {module.name!r}, got {declared.name!r}"
            )
        if declared.name in _BESIDES:
            raise TypeError(f"{path}: expected a new name, got {declared.name!r} again")
        found[declared.name] = declared
    return found


def markdown_table() -> str:
    """Return the published metrics as the README shows them."""
    lines = [
        "| metric | value | unit | prototypical | signal | passes per example and run | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, declared in metrics().items():
        cost = declared.passes(declared.config())
        backward = f", {cost.backward:g} backward" if cost.backward else ""
        lines.append(
            f"| `{name}` | {declared.summary} | {declared.unit} | {declared.prototypical} "
            f"| {declared.signal} | {cost.forward:g} forward{backward} | {declared.source} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"{markdown_table()}\n")
