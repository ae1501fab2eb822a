"""Finds every metric: the module-level `METRIC` of each file in `scoring/metrics/`."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import scoring.metrics
from scoring.errors import UnknownName
from scoring.folds.prediction import PREDICTED
from scoring.spec import MetricSpec


@cache
def metrics() -> dict[str, MetricSpec]:
    """Every published metric by name, sorted.

    Raises:
        TypeError: a file of `scoring/metrics/` breaks a rule of `find`.
    """
    return find(scoring.metrics)


def metric(name: str) -> MetricSpec:
    """The published metric of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in metrics():
        raise UnknownName("--metrics", name, metrics())
    return metrics()[name]


def spec_of(name: str) -> MetricSpec:
    """What is computed under `name`: a published metric, or the predicted class."""
    return PREDICTED if name == PREDICTED.name else metric(name)


def find(package: ModuleType) -> dict[str, MetricSpec]:
    """The metrics of a package, one a module, sorted by name.

    Raises:
        TypeError: a module without METRIC, or whose METRIC's name is not the module's or is taken.
    """
    found: dict[str, MetricSpec] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        path = f"{package.__name__}.{module.name}"
        spec = getattr(importlib.import_module(path), "METRIC", None)
        if not isinstance(spec, MetricSpec):
            raise TypeError(f"{path}: expected METRIC to be a MetricSpec, got {spec!r}")
        if spec.name != module.name:
            raise TypeError(f"{path}: expected a metric named {module.name!r}, got {spec.name!r}")
        if spec.name in found or spec.name == PREDICTED.name:
            raise TypeError(f"{path}: expected a new name, got {spec.name!r} again")
        found[spec.name] = spec
    return found


def markdown_table() -> str:
    """The published metrics as the README shows them."""
    head = (
        "| metric | what it is | unit | prototypical | folds | passes an example and run | source |"
    )
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, spec in metrics().items():
        cost = spec.passes(spec.config())
        passes = f"{cost.forward:g} forward" + (
            f", {cost.backward:g} backward" if cost.backward else ""
        )
        lines.append(
            f"| `{name}` | {spec.summary} | {spec.unit} | {spec.prototypical} | {spec.signal} "
            f"| {passes} | {spec.source} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown_table())
