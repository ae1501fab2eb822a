"""`protoscore evaluate fleet`: how many runs make a ranking that holds.

What runs said is in the store, so parts of a published fleet score without any training: each part
against the whole fleet, and parts that share no run against each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tyro

from ray_jobs.engine import engine
from ray_jobs.evaluations.evaluating import Column, evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.evaluations.staged import Examples, is_staged, stage
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
from scoring import registry
from scoring.analysis import fleet_size
from scoring.analysis.score_table import Scores
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.statistics import Percentiles, spearman
from scoring.errors import UserError
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
"""What runs a signal is made of; other signals are of one run, or of the way of a training."""
_FEWEST = 4  # two halves of two
Curves = dict[int, list[float]]


@dataclass(frozen=True, kw_only=True)
class FleetSizeFlags(PublishedFlags):
    """Which metrics, and which parts of their fleets."""

    metrics: tuple[str, ...] = ()
    """Metrics to look at; default: all that are published and fold four runs or more."""
    sizes: tuple[int, ...] = fleet_size.SIZES
    """Numbers of runs; those that a fleet does not have are left out."""
    draws: int = 5
    """Draws of the parts; figures are means over them."""
    enough: float = 0.95
    """Spearman's correlation of two fleets that is enough."""
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
    """Score by parts of the published fleets, and compare."""
    flags = parse_flags(FleetSizeFlags, argv, "protoscore evaluate fleet", __doc__)
    flags.check()
    snapshot = flags.snapshot()
    fleets = _fleets(flags, snapshot)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        _score(fleets, flags)
        found = []
        for fleet in fleets:
            found += _findings(fleet, flags, snapshot.scores(flags.split, fleet.metric))
        evaluation.tell(f"fleet_{flags.split}", found, _columns(found))
    return 0


def _columns(found: Sequence[Finding]) -> list[Column]:
    """The columns to print: correlations by the number of runs, then how many are enough."""
    shown = [(f.part, f.measure) for f in found if f.measure != "spearman_with_all"]
    return sorted(dict.fromkeys(shown), key=lambda column: (column[0] == "", int(column[0] or 0)))


@dataclass(frozen=True, kw_only=True)
class _Fleet:
    """The M runs that a published metric folds."""

    metric: str
    records: tuple[RunRecord, ...]
    refs: tuple[RunRef, ...]
    kinds: tuple[str, ...]
    """What each is, its seed aside."""
    examples: Examples

    def part(self, runs: Sequence[int]) -> Assignment:
        """The metric by some of the runs, in the fleet's order."""
        config = registry.metric(self.metric).config()
        refs = tuple(self.refs[run] for run in sorted(runs))
        return Assignment(metric=self.metric, config=config, runs=refs)

    def parts(self, flags: FleetSizeFlags) -> list[Assignment]:
        """Every part that is needed, and the whole."""
        found: list[Sequence[int]] = [range(len(self.refs))]
        for draw in range(flags.draws):
            one, other = fleet_size.halves(self.kinds, draw)
            found += [[*one, *other][:size] for size in self.sizes(flags)]
            found += [other[:size] for size in self.sizes(flags) if size <= len(other)]
        return [self.part(runs) for runs in found]

    def sizes(self, flags: FleetSizeFlags) -> list[int]:
        """Numbers of runs to look at, the largest half among them."""
        half = len(self.refs) // 2
        return sorted({size for size in flags.sizes if size < len(self.refs)} | {half})


def _fleets(flags: FleetSizeFlags, snapshot: Snapshot) -> list[_Fleet]:
    """Fleets of the metrics that are asked for.

    Raises:
        UserError: one has too few runs, or none has enough.
    """
    found = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        fleet = _fleet_of(snapshot, flags.split, metric)
        if len(fleet.refs) >= _FEWEST:
            found.append(fleet)
        elif flags.metrics:
            raise UserError(
                f"--metrics: expected metrics that fold {_FEWEST} runs or more, got {metric}, "
                f"which folds {max(1, len(fleet.refs))}"
            )
    if not found:
        raise UserError(f"--metrics: expected one that folds {_FEWEST} runs or more, got none")
    return found


def _fleet_of(snapshot: Snapshot, split: Split, metric: str) -> _Fleet:
    """The runs behind a partition, those that its predictions or parents alone need left out."""
    manifest = snapshot.manifests[split, metric]
    wanted = _KINDS.get(registry.metric(metric).signal, ())
    keys = manifest.runs if wanted else ()
    records = [r for r in load_records(snapshot.storage, keys) if r.kind in wanted]
    specs = [record.spec for record in records]
    fleet = _Fleet(
        metric=metric,
        records=tuple(records),
        refs=tuple(_ref(*both) for both in zip(specs, records, strict=True)),
        kinds=tuple(_but_for_seed(spec) for spec in specs),
        examples=Examples(
            storage=snapshot.storage, version=snapshot.data[split, manifest.dataset_version]
        ),
    )
    if records and not {*fleet.examples.paths(fleet.part(range(len(records))))} <= {
        *manifest.staged
    }:
        raise UserError(
            f"--metrics: expected scores as this protoscore makes them by default, got {metric} "
            "with other settings or of an earlier version"
        )
    return fleet


def _ref(spec: RunSpec, record: RunRecord) -> RunRef:
    """A run as metrics read it, with the run that it was fine-tuned from."""
    versions = {split: record.versions[split] for split in spec.splits()}
    parent = identify(spec, versions).parent if spec.kind == "finetuned" else ""
    return RunRef(key=record.key, parent=parent)


def _but_for_seed(spec: RunSpec) -> str:
    parent = replace(spec.parent, seed=0) if spec.parent else None
    return digest(replace(spec, seed=0, parent=parent))


def _score(fleets: Sequence[_Fleet], flags: FleetSizeFlags) -> None:
    """Make what is missing."""
    missing = [fleet for fleet in fleets if not is_staged(fleet.examples, fleet.parts(flags))]
    if not missing:
        return
    with engine(flags.machine) as cluster:
        for fleet in missing:
            device = cluster.device(fleet.records[0].device)
            stage(cluster, fleet.examples, fleet.parts(flags), device, keep_logits=True)


def _findings(fleet: _Fleet, flags: FleetSizeFlags, scores: Scores) -> list[Finding]:
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
    """Where examples stand by some of the runs; classes are those of the published scores."""
    spec, told = registry.metric(fleet.metric), fleet.examples.read(fleet.part(runs))
    classes = scores.label if spec.normalised_in == "label" else scores.predicted
    ranks = rank(
        value=told.value,
        label=classes[np.argsort(scores.ids)],
        example_id=told.ids,
        direction=spec.prototypical,
        ranked_by=spec.ranked_by,
        ends=spec.statuses,
        status=told.status,
        tiebreak=np.nan_to_num(told.tiebreak),
    )
    return Percentiles(ids=told.ids, percentile=ranks.percentile)
