"""Findings of an experiment that was repeated with several seeds."""

from collections.abc import Mapping

import numpy as np

from scoring.arrays import Floats
from scoring.tables.findings import Finding


def findings_by_seed(
    subject: str, numbers: Mapping[int, Mapping[str, float]], rows: int
) -> list[Finding]:
    """Report every measure for each seed and, as part "all", its mean and standard deviation.

    Args:
        subject: what was measured.
        numbers: seed to measure to value; NaN, which means ignore, where the value is undefined.
        rows: how many examples each value is computed from.
    """
    found = [
        Finding(subject=subject, part=f"seed {seed}", measure=measure, value=value, rows=rows)
        for seed, measures in numbers.items()
        for measure, value in measures.items()
    ]
    for measure in next(iter(numbers.values())):
        values = np.array([measures[measure] for measures in numbers.values()])
        found.append(mean_finding(subject, "all", measure, values))
    return found


def mean_finding(subject: str, part: str, measure: str, values: Floats) -> Finding:
    """Report the mean of values [S] and their standard deviation, NaN left out.

    The mean is NaN, and the standard deviation None, if every value is NaN.
    """
    known = values[~np.isnan(values)]
    return Finding(
        subject=subject,
        part=part,
        measure=measure,
        value=float(known.mean()) if len(known) else float("nan"),
        spread=float(known.std()) if len(known) else None,
        rows=len(known),
    )
