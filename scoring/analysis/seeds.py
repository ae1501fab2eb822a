"""Figures of an experiment that was made with several seeds."""

from collections.abc import Mapping

import numpy as np

from scoring.arrays import Floats
from scoring.tables.findings import Finding


def over_seeds(
    subject: str, numbers: Mapping[int, Mapping[str, float]], rows: int
) -> list[Finding]:
    """A finding a seed and measure and, as part "all", means and deviations.

    Args:
        subject: whose figures.
        numbers: seed to measure to value; NaN where it does not exist, which means leave out.
        rows: what each value is made of.
    """
    found = [
        Finding(subject=subject, part=f"seed {seed}", measure=measure, value=value, rows=rows)
        for seed, of_seed in numbers.items()
        for measure, value in of_seed.items()
    ]
    for measure in next(iter(numbers.values())):
        values = np.array([of_seed[measure] for of_seed in numbers.values()])
        found.append(mean_of(subject, "all", measure, values))
    return found


def mean_of(subject: str, part: str, measure: str, values: Floats) -> Finding:
    """The mean of values [S] and their deviation; those that are NaN are left out."""
    known = values[~np.isnan(values)]
    return Finding(
        subject=subject,
        part=part,
        measure=measure,
        value=float(known.mean()) if len(known) else float("nan"),
        spread=float(known.std()) if len(known) else None,
        rows=len(known),
    )
