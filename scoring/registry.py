"""Finds every metric: the module-level `METRIC` of each file in `scoring/metrics/`."""

import importlib
import json
import pkgutil
import re
from dataclasses import asdict
from functools import cache
from types import ModuleType

import scoring.metrics
from scoring.declared import FILE, Declared
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
        "| metric | purpose | value | unit | prototypical | signal | passes per example and run "
        "| source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in metrics().items():
        cost = found.passes(found.config())
        backward = f", {cost.backward:g} backward" if cost.backward else ""
        basis = "" if found.ranked_by == "value" else f", by {found.ranked_by.replace('_', ' ')}"
        lines.append(
            f"| `{name}` | {found.purpose} | {found.summary} | {found.unit} "
            f"| {found.prototypical}{basis} | {found.signal} | {cost.forward:g} forward{backward} "
            f"| {found.source} |"
        )
    return "\n".join(lines)


def declarations() -> str:
    """Return the published metrics as `declared.jsonl` holds them."""
    found = [
        Declared(
            metric=name,
            purpose=metric.purpose,
            summary=metric.summary,
            unit=metric.unit,
            direction=metric.prototypical,
            ranked_by=metric.ranked_by,
            source=metric.source,
            version=metric.version,
        )
        for name, metric in metrics().items()
    ]
    return "".join(f"{json.dumps(asdict(metric), ensure_ascii=False)}\n" for metric in found)


def with_metrics(readme: str) -> str:
    """Return the README with the table of today's metrics between its marks."""
    return re.sub(
        r"(<!-- metrics:[^>]*-->\n).*?(\n<!-- /metrics -->)",
        lambda marks: f"{marks[1]}{markdown_table()}{marks[2]}",
        readme,
        count=1,
        flags=re.DOTALL,
    )


def main() -> None:
    """Write what is generated from the metrics: `declared.jsonl` and the README's table."""
    FILE.write_text(declarations(), "utf-8")
    readme = FILE.parent.parent / "README.md"
    readme.write_text(with_metrics(readme.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
