"""What a reviewed queue says: how many labels are wrong, and how many of those above the cut.

A label counts as wrong by the share of its reviewers that relabel or exclude it. One that they
call ambiguous counts as right, since it can be defended, and is counted by itself. A check that
everybody skipped counts as not made: the estimates assume that it is skipped whatever its label is.
The methods are those of `review_sample`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scoring.analysis.review_sample import ABOVE, Estimate, estimate
from scoring.arrays import Floats, Ints
from scoring.data.reviews import Queue
from scoring.tables.findings import Finding
from scoring.tables.verdicts import Verdict

ALL, ABOVE_CUT, STRATUM = "all labels", "above the cut", "stratum"
"""Subjects of the findings."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the verdicts on a queue say of the rows that it was drawn from."""

    wrong: Estimate
    """Wrong labels."""
    ambiguous: Estimate
    """Labels that can be defended as well as another."""
    precision: Estimate
    """Share of wrong labels above the cut; NaN if no row is above it."""
    checked: Ints
    """[S] checks made in each stratum."""
    found: Floats
    """[S] of them found wrong."""
    sizes: Ints
    """[S] rows of each stratum."""
    means: Floats
    """[S] mean probability that a label is wrong."""

    @property
    def expected(self) -> float:
        """The number of wrong labels that the probabilities expect."""
        return float(np.sum(self.sizes * self.means))

    @property
    def expected_precision(self) -> float:
        """The share of wrong labels above the cut that the probabilities expect."""
        rows = self.sizes[ABOVE:].sum()
        return float(np.sum(self.sizes[ABOVE:] * self.means[ABOVE:]) / rows) if rows else np.nan


def measure(queue: Queue, verdicts: Iterable[Verdict]) -> Measured:
    """Estimate from the verdicts on a queue, the newest of each reviewer, what is wrong in all."""
    strata = len(queue.strata)
    stratum = {check.example_id: check.stratum for check in queue.checks}
    checked, found, ambiguous = np.zeros(strata, np.int64), np.zeros(strata), np.zeros(strata)
    for example_id, made in _by_example(verdicts).items():
        if example_id in stratum:
            at = stratum[example_id]
            checked[at] += 1
            found[at] += sum(verdict.says_wrong for verdict in made) / len(made)
            ambiguous[at] += sum(v.decision == "ambiguous" for v in made) / len(made)
    sizes = np.array([s.rows for s in queue.strata], dtype=np.int64)
    means = np.array([s.mean for s in queue.strata])
    above = slice(ABOVE, None)
    precise = estimate(sizes[above], means[above], checked[above], found[above])
    return Measured(
        wrong=estimate(sizes, means, checked, found),
        ambiguous=estimate(sizes, np.zeros(strata), checked, ambiguous),
        precision=precise.over(int(sizes[above].sum())),
        checked=checked,
        found=found,
        sizes=sizes,
        means=means,
    )


def disagreements(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Return the verdicts on each example that come to different labels, skipped ones left out.

    Args:
        verdicts: the newest of each reviewer about each example.
    """
    found = _by_example(verdicts)
    return [made for _, made in sorted(found.items()) if len({v.outcome for v in made}) > 1]


def findings(measured: Measured, queue: Queue) -> list[Finding]:
    """Report the estimates, and what they are made of in each stratum."""
    checks = int(measured.checked.sum())
    above = int(measured.checked[ABOVE:].sum())
    found = [
        *_estimate(ALL, "wrong", measured.wrong, checks),
        *_estimate(ALL, "ambiguous", measured.ambiguous, checks),
        *_estimate(ABOVE_CUT, "precision", measured.precision, above),
        _finding(ALL, "expected_wrong", measured.expected, int(measured.sizes.sum())),
        _finding(
            ABOVE_CUT,
            "expected_precision",
            measured.expected_precision,
            int(measured.sizes[ABOVE:].sum()),
        ),
    ]
    for n, stratum in enumerate(queue.strata):
        made = int(measured.checked[n])
        values = {
            "rows": stratum.rows,
            "expected_share": stratum.mean if stratum.rows else np.nan,
            "share": measured.found[n] / made if made else np.nan,
        }
        part = f"from {stratum.start:g}"
        found += [_finding(STRATUM, m, value, made, part) for m, value in values.items()]
    return found


def _by_example(verdicts: Iterable[Verdict]) -> dict[int, list[Verdict]]:
    """Return the verdicts on each example that was not skipped by all."""
    found: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.decision != "skip":
            found.setdefault(verdict.example_id, []).append(verdict)
    return found


def _estimate(subject: str, measure: str, of: Estimate, rows: int) -> list[Finding]:
    values = {"": of.value, "_low": of.low, "_high": of.high}
    return [_finding(subject, f"{measure}{end}", value, rows) for end, value in values.items()]


def _finding(subject: str, measure: str, value: float, rows: int, part: str = "") -> Finding:
    return Finding(subject=subject, part=part, measure=measure, value=float(value), rows=rows)
