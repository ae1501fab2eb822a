"""Find how many runs a stable ranking needs.

Parts of a published fleet score the examples without any training. Each part is compared with the
whole fleet, and parts that share no run are compared with each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
import tyro

from ray_jobs.engine import engine
from ray_jobs.evaluations.evaluating import Column, evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.evaluations.staged import Examples, is_staged, stage
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.shared_flags import AllowedNets, by_default
from scoring import registry
from scoring.allowed_nets import allow_nets
from scoring.analysis import fleet_size
from scoring.analysis.score_table import Scores
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.statistics import Percentiles, spearman
from scoring.errors import UserError
from scoring.nets import check_net
from scoring.run_spec import RunKind, RunSpec
from scoring.runs.record import RunRecord, identify, load_records
from scoring.score.assignments import Assignment, RunRef
from scoring.score.ranking import rank
from scoring.spec import Signal
from scoring.store.keys import Split, digest
from scoring.tables.findings import Finding

_KINDS: Mapping[Signal, tuple[RunKind, ...]] = {
    Signal.ENSEMBLE: ("plain", "imported"),
    Signal.PAIRS: ("finetuned",),
    Signal.PRIVATE: ("private",),
}
"""Kinds of runs behind a signal. Other signals come from one run or one training's checkpoints."""
_FEWEST = 4  # two halves of two
Curves = dict[int, list[float]]


@dataclass(frozen=True, kw_only=True)
class FleetSizeFlags(PublishedFlags):
    """The metrics to evaluate, and the parts of their fleets."""

    metrics: Annotated[
        tuple[str, ...], by_default("all that are published and fold four runs or more")
    ] = ()
    """Metrics to evaluate."""
    sizes: tuple[int, ...] = fleet_size.SIZES
    """Numbers of runs to score with, except those that a fleet does not have."""
    draws: int = 5
    """Number of random parts of each size to average over."""
    enough: float = 0.95
    """Spearman's correlation of two rankings that counts as stable."""
    allow_nets: AllowedNets = ()
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.sizes or min(self.sizes) < 1:
            got = min(self.sizes) if self.sizes else "none"
            raise UserError(f"--sizes: expected numbers above 0, got {got}")
        if self.draws < 1:
            raise UserError(f"--draws: expected a number above 0, got {self.draws}")
        if not 0 < self.enough < 1:
            raise UserError(f"--enough: expected a number between 0 and 1, got {self.enough}")
        self.machine.check()


def main(argv: Sequence[str], command: str) -> int:
    """Score with parts of the published fleets, and compare."""
    flags = parse_flags(FleetSizeFlags, argv, "protoscore evaluate fleet", __doc__)
    flags.check()
    allow_nets(flags.allow_nets)
    snapshot = flags.snapshot()
    fleets = _fleets(flags, snapshot)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        _score(fleets, flags)
        findings = []
        for fleet in fleets:
            findings += _findings(fleet, flags, snapshot.scores(flags.split, fleet.metric))
        evaluation.report(f"fleet_{flags.split}", findings, _columns(findings))
    return 0


def _columns(findings: Sequence[Finding]) -> list[Column]:
    """Return the columns to print: correlations by number of runs, then the number needed."""
    shown = [(f.part, f.measure) for f in findings if f.measure != "spearman_with_all"]
    return sorted(dict.fromkeys(shown), key=lambda column: (column[0] == "", int(column[0] or 0)))


@dataclass(frozen=True, kw_only=True)
class _Fleet:
    """The M runs that a published metric folds."""

    metric: str
    records: tuple[RunRecord, ...]
    refs: tuple[RunRef, ...]
    kinds: tuple[str, ...]
    """By run, a hash of its spec without the seed."""
    examples: Examples

    def part(self, runs: Sequence[int]) -> Assignment:
        """Return the metric with some of the runs, in the fleet's order."""
        config = registry.metric(self.metric).config()
        refs = tuple(self.refs[run] for run in sorted(runs))
        split = self.examples.version.split
        return Assignment(metric=self.metric, config=config, split=split, runs=refs)

    def parts(self, flags: FleetSizeFlags) -> list[Assignment]:
        """Return the metric with the whole fleet and with every part of it."""
        parts: list[Sequence[int]] = [range(len(self.refs))]
        for draw in range(flags.draws):
            one, other = fleet_size.halves(self.kinds, draw)
            parts += [[*one, *other][:size] for size in self.sizes(flags)]
            parts += [other[:size] for size in self.sizes(flags) if size <= len(other)]
        return [self.part(runs) for runs in parts]

    def sizes(self, flags: FleetSizeFlags) -> list[int]:
        """Return the numbers of runs to score with, including half of the fleet."""
        half = len(self.refs) // 2
        return sorted({size for size in flags.sizes if size < len(self.refs)} | {half})


def _fleets(flags: FleetSizeFlags, snapshot: Snapshot) -> list[_Fleet]:
    """Return the fleets of the requested metrics.

    Raises:
        UserError: a metric that was named folds too few runs, or every metric does.
    """
    fleets = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        fleet = _fleet_of(snapshot, flags.split, metric)
        if len(fleet.refs) >= _FEWEST:
            fleets.append(fleet)
        elif flags.metrics:
            raise UserError(
                f"--metrics: expected metrics that fold {_FEWEST} runs or more, got {metric}, "
                f"which folds {max(1, len(fleet.refs))}"
            )
    if not fleets:
        raise UserError(f"--metrics: expected one that folds {_FEWEST} runs or more, got none")
    return fleets


def _fleet_of(snapshot: Snapshot, split: Split, metric: str) -> _Fleet:
    """Return the runs that a partition folds, without those for predictions or as parents only.

    Raises:
        UserError: with default settings, these runs do not give the published scores, or the
            command line does not allow their nets.
    """
    manifest = snapshot.manifests[split, metric]
    kinds = _KINDS.get(registry.metric(metric).signal, ())
    keys = manifest.runs if kinds else ()
    records = [r for r in load_records(snapshot.storage, keys) if r.kind in kinds]
    for net in {record.net.name for record in records}:
        check_net(net)
    fleet = _Fleet(
        metric=metric,
        records=tuple(records),
        refs=tuple(_ref(record) for record in records),
        kinds=tuple(_hash_without_seed(record.spec) for record in records),
        examples=Examples(
            storage=snapshot.storage, version=snapshot.data[split, manifest.dataset_version]
        ),
    )
    whole = fleet.examples.paths(fleet.part(range(len(records))))
    if records and not {*whole} <= {*manifest.staged}:
        raise UserError(
            "--metrics: expected scores made by this version of protoscore with default settings, "
            f"got other ones of {metric}"
        )
    return fleet


def _ref(record: RunRecord) -> RunRef:
    """Return a run as metrics read it: with the run that it was fine-tuned from, if it was."""
    spec = record.spec
    versions = {split: record.versions[split] for split in spec.splits()}
    parent = identify(spec, versions).parent if spec.kind == "finetuned" else ""
    return RunRef(key=record.key, parent=parent)


def _hash_without_seed(spec: RunSpec) -> str:
    parent = replace(spec.parent, seed=0) if spec.parent else None
    return digest(replace(spec, seed=0, parent=parent))


def _score(fleets: Sequence[_Fleet], flags: FleetSizeFlags) -> None:
    """Stage the scores that are missing."""
    missing = [fleet for fleet in fleets if not is_staged(fleet.examples, fleet.parts(flags))]
    if not missing:
        return
    with engine(flags.machine) as cluster:
        for fleet in missing:
            device = cluster.device(fleet.records[0].device)
            stage(cluster, fleet.examples, fleet.parts(flags), device, keep_logits=True)


def _findings(fleet: _Fleet, flags: FleetSizeFlags, scores: Scores) -> list[Finding]:
    """Compare parts of a fleet with the whole and with each other."""

    def percentiles(runs: Sequence[int]) -> Percentiles:
        return _percentiles(fleet, runs, scores)

    whole = percentiles(range(len(fleet.refs)))
    with_all: Curves = {}
    between: Curves = {}
    for draw in range(flags.draws):
        one, other = fleet_size.halves(fleet.kinds, draw)
        for size in fleet.sizes(flags):
            part = percentiles([*one, *other][:size])
            with_all.setdefault(size, []).append(float(spearman([part, whole])[0, 1]))
            if size <= len(other):
                apart = percentiles(other[:size])
                between.setdefault(size, []).append(float(spearman([part, apart])[0, 1]))
    return fleet_size.findings(fleet.metric, len(fleet.refs), with_all, between, flags.enough)


def _percentiles(fleet: _Fleet, runs: Sequence[int], scores: Scores) -> Percentiles:
    """Return percentiles by some of the runs, with classes as in the published scores."""
    spec, staged = registry.metric(fleet.metric), fleet.examples.read(fleet.part(runs))
    classes = scores.label if spec.normalised_in == "label" else scores.predicted
    ranks = rank(
        value=staged.value,
        label=classes[np.argsort(scores.ids)],
        example_id=staged.ids,
        direction=spec.prototypical,
        ranked_by=spec.ranked_by,
        ends=spec.statuses,
        status=staged.status,
        tiebreak=np.nan_to_num(staged.tiebreak),
    )
    return Percentiles(ids=staged.ids, percentile=ranks.percentile)
