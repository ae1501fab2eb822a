"""An evaluation at work: it holds a lease and publishes findings."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.say import note, say
from ray_jobs.terminal.tables import as_text
from scoring.analysis.joined_scores import JoinedScores
from scoring.store.layout import table_path
from scoring.store.storage import Storage
from scoring.tables.findings import Finding, publish_evaluation

Column = tuple[str, str]
"""(part, measure)."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation at work."""

    storage: Storage
    dataset: str
    command: str
    """What the user typed."""

    def report(self, name: str, findings: Sequence[Finding], columns: Sequence[Column]) -> None:
        """Publish findings, and print some of their columns with one row per subject."""
        say(as_text(pa.table(_pivot(findings, columns))), end="")
        self.publish(name, findings)

    def publish(self, name: str, findings: Sequence[Finding]) -> None:
        """Replace the findings published under a name, and say so."""
        version = publish_evaluation(self.storage, self.dataset, name, findings, self.command)
        say(
            f"Published {len(findings)} findings of {name} on {self.dataset} as version {version} "
            f"of {self.storage.uri}/{table_path('evaluations')}"
        )


@contextmanager
def evaluating(storage: Storage, dataset: str, command: str) -> Iterator[Evaluation]:
    """Hold a lease for the length of the block; everything an evaluation writes goes in it."""
    with writing_job(storage, "evaluate", command=command, dataset=dataset) as lease:
        lease.refuse_old_plans()
        yield Evaluation(storage=storage, dataset=dataset, command=command)


def note_left_out(scores: JoinedScores) -> None:
    """Say so if metrics were scored on different data."""
    if scores.left_out:
        note(
            f"left out: {scores.left_out:,} examples that some metric does not know or that "
            "metrics know under different labels"
        )


def _pivot(findings: Sequence[Finding], columns: Sequence[Column]) -> dict[str, pa.Array]:
    """Arrange findings in one row per subject and one column per part and measure."""
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    subjects = dict.fromkeys(f.subject for f in findings if (f.part, f.measure) in columns)
    grid = {"subject": pa.array(list(subjects))}
    for part, measure in columns:
        values = [found.get((subject, part, measure)) for subject in subjects]
        rounded = [_rounded(value) for value in values]
        grid[f"{part} {measure}".strip()] = pa.array(rounded, pa.float64())
    return grid


def _rounded(value: float | None) -> float | None:
    """Return the digits worth printing: all those of a count, four of anything else."""
    if value is None or math.isnan(value):
        return None
    return value if value == round(value) else float(f"{value:.4g}")
