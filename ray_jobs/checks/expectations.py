"""Expectations of a night, each with its verdict: passed, failed, or skipped for want of facts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pyarrow as pa

from ray_jobs.checks.facts import Facts
from ray_jobs.jobs.progress import counted
from ray_jobs.terminal.shared_flags import by_default
from scoring.analysis.new_shards import JudgedShard
from scoring.errors import UserError

_ROUNDING = 1e-9  # a fall from 0.94 to 0.92 is one of 0.02
VERDICTS = pa.schema(
    {
        "expectation": pa.string(),
        "verdict": pa.string(),
        "expected": pa.string(),
        "got": pa.string(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What a night is expected to keep to; `inf` turns an expectation off."""

    max_age_hours: float = 26.0
    """Hours since a night last published, or found nothing to do."""
    max_rows_gone: float = 0
    """Examples of a split that are no longer published."""
    max_accuracy_fall: float = 0.02
    """Fall of the test accuracy, of the published predictions and of the base run; 0.02 is two
    points."""
    max_new_lowest: Annotated[float, by_default("off")] = math.inf
    """Examples newly in the lowest hundredth of a metric's ranking."""
    max_shard_lift: float = 3.0
    """A new shard's share of rows below the lowest hundredth of comparable rows of their class, as
    a multiple of what chance gives."""
    max_shard_shift: float = 20.0
    """How far the mean class percentile of a new shard's rows, among comparable rows, lies from
    50, either way."""
    shard_false_alarms: float = 0.01
    """Nights without any drift that may fail for a shard, as a share. A shard fails if it is over a
    limit by more than chance; the chance is divided by the number of shards and metrics."""

    def check(self) -> None:
        """Refuse limits that make no sense.

        Raises:
            UserError: naming the flag.
        """
        for name, limit in vars(self).items():
            flag = f"--{name.replace('_', '-')}"
            if name != "shard_false_alarms" and not limit >= 0:
                raise UserError(f"{flag}: expected 0 or more, got {limit}")
        if not 0 < self.shard_false_alarms < 1:
            raise UserError(
                f"--shard-false-alarms: expected a number in (0, 1), got {self.shard_false_alarms}"
            )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One expectation, held against the facts."""

    expectation: str
    verdict: Literal["passed", "failed", "skipped"]
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.verdict:<8}{self.expectation}: expected {self.expected}, got {self.got}"


def judge(facts: Facts, expected: Expectations) -> list[Verdict]:
    """Hold every expectation that is on against the facts."""
    return [
        *_published(facts, expected.max_age_hours),
        *_rows(facts, expected.max_rows_gone),
        *_accuracy(facts, expected.max_accuracy_fall),
        *_new_lowest(facts, expected.max_new_lowest),
        *_shards(facts, expected),
    ]


def drifted(shards: Sequence[JudgedShard], expected: Expectations) -> list[JudgedShard]:
    """Return the shards that drifted, the least likely first, each as every metric sees it."""
    alarm = expected.shard_false_alarms / max(1, 2 * len(shards))  # two tests each
    found = [
        shard
        for shard in shards
        if (shard.drift.lift > expected.max_shard_lift and shard.drift.lift_p < alarm)
        or (abs(shard.drift.shift) > expected.max_shard_shift and shard.drift.shift_p < alarm)
    ]
    return sorted(found, key=lambda shard: min(shard.drift.lift_p, shard.drift.shift_p))


def table(verdicts: Sequence[Verdict]) -> pa.Table:
    """Return verdicts in the columns of `VERDICTS`."""
    return pa.Table.from_pylist([vars(verdict) for verdict in verdicts], schema=VERDICTS)


def _published(facts: Facts, limit: float) -> Iterator[Verdict]:
    if limit < math.inf:
        at = f"{facts.last_success:%Y-%m-%d %H:%M}Z"
        yield _verdict(
            "published",
            facts.age_hours <= limit,
            f"a night within {limit:g} hours",
            f"the last one {facts.age_hours:.1f} hours ago, at {at}",
        )


def _rows(facts: Facts, limit: float) -> Iterator[Verdict]:
    if limit < math.inf:
        wanted = f"at most {limit:g} rows of a split gone"
        if facts.changes is None:
            yield _skipped("rows_gone", wanted)
        else:
            gone = facts.changes.gone
            got = ", ".join(f"{count:,} of {split}" for split, count in gone.items())
            yield _verdict("rows_gone", max(gone.values()) <= limit, wanted, got)


def _accuracy(facts: Facts, limit: float) -> Iterator[Verdict]:
    if limit < math.inf:
        wanted = f"test accuracy to fall by at most {limit:g}"
        if facts.changes is None:
            yield _skipped("test_accuracy", wanted)
            return
        before = facts.changes.accuracy_before
        pairs = {
            name: (before[name], now) for name, now in facts.accuracy.items() if name in before
        }
        if not pairs:
            yield _skipped("test_accuracy", wanted, "no labelled test examples in both nights")
            return
        got = ", ".join(f"{old:.4f} to {now:.4f} ({name})" for name, (old, now) in pairs.items())
        fall = max(old - now for old, now in pairs.values())
        yield _verdict("test_accuracy", fall <= limit + _ROUNDING, wanted, got)


def _new_lowest(facts: Facts, limit: float) -> Iterator[Verdict]:
    if limit < math.inf:
        wanted = f"at most {limit:g} rows newly in the lowest hundredth of a metric"
        counts = facts.changes.newly_lowest if facts.changes else {}
        if not counts:
            yield _skipped("new_lowest", wanted)
        else:
            (split, metric), worst = max(counts.items(), key=lambda item: item[1])
            over = sum(count > limit for count in counts.values())
            got = f"{worst:,} of {metric} in {split}" + _more(over - 1, "ranking")
            yield _verdict("new_lowest", worst <= limit, wanted, got)


def _shards(facts: Facts, expected: Expectations) -> Iterator[Verdict]:
    lift, shift = expected.max_shard_lift, expected.max_shard_shift
    limits = []
    if lift < math.inf:
        limits.append(f"at most {lift:g} times as many lowest rows as chance gives")
    if shift < math.inf:
        limits.append(f"a mean class percentile within {shift:g} of 50")
    if limits:
        wanted = f"new shards with {' and '.join(limits)}"
        yield _shard_drift(facts, expected, wanted)


def _shard_drift(facts: Facts, expected: Expectations, wanted: str) -> Verdict:
    if facts.changes is None:
        return _skipped("shard_drift", wanted)
    judged = facts.changes.shards
    if not judged:
        return _skipped("shard_drift", wanted, "no new shard that can be compared")
    if failing := drifted(judged, expected):
        more = _more(len({shard.shard.content for shard in failing}) - 1, "shard")
        return _verdict("shard_drift", False, wanted, f"{_told(failing[0])}{more}")
    highest = max(judged, key=lambda shard: shard.drift.lift)
    got = f"none that differ by more than chance, the highest {_told(highest)}"
    return _verdict("shard_drift", True, wanted, got)


def _told(judged: JudgedShard) -> str:
    drift = judged.drift
    return (
        f"{drift.lift:.1f} times ({drift.lowest} of {drift.rows:,} rows) and percentile "
        f"{50 + drift.shift:.0f} by {judged.metric} in {judged.where}"
    )


def _more(count: int, unit: str) -> str:
    return f" (and {counted(count, f'more {unit}')})" if count > 0 else ""


def _verdict(expectation: str, holds: bool, expected: str, got: str) -> Verdict:
    verdict: Literal["passed", "failed"] = "passed" if holds else "failed"
    return Verdict(expectation=expectation, verdict=verdict, expected=expected, got=got)


def _skipped(expectation: str, expected: str, got: str = "no earlier night") -> Verdict:
    return Verdict(expectation=expectation, verdict="skipped", expected=expected, got=got)
