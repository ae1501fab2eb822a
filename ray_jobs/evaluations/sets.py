"""Find the sets of examples that metrics tell apart by disagreeing, or by all agreeing.

Memorized exceptions, uncommon submodes and canonical prototypes (section 3.3 of Carlini et al.
2019) are found class by class and published in the table `example_sets`. The examples of each set
and class are drawn on a map by t-SNE, on which HDBSCAN finds clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tyro

from ray_jobs.engine import engine
from ray_jobs.evaluations.evaluating import Evaluation, evaluating, note_left_out
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.explanations.explain_plan import find_run
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.night_flags import MachineFlags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import AllowedNets
from scoring.allowed_nets import allow_nets
from scoring.analysis import clusters, example_sets
from scoring.analysis.clusters import Map, MapSettings
from scoring.analysis.example_sets import Cuts, Evidence, Group
from scoring.analysis.joined_scores import read_joined_scores, read_names
from scoring.analysis.map_vectors import Vectors
from scoring.analysis.snapshot import Snapshot
from scoring.data.corrections import given_labels
from scoring.data.texts import TextShape
from scoring.errors import UserError
from scoring.representers.layer import Layer
from scoring.runs.record import RunRecord, load_model, load_record
from scoring.store.layout import table_path
from scoring.tables.set_members import publish_example_sets

_PIXELS = "pixels"
_MOST_SHOWN = 20  # classes


@dataclass(frozen=True, kw_only=True)
class SetsFlags(PublishedFlags):
    """The metrics and limits that define the sets, and how to map their examples."""

    evidence: tyro.conf.OmitArgPrefixes[Evidence] = field(default_factory=Evidence)
    cuts: tyro.conf.OmitArgPrefixes[Cuts] = field(default_factory=Cuts)
    lowest: int = 5000
    """Report the share of each metric's lowest N examples that is in a set, if there are more."""
    clusters: bool = True
    """Map the examples of each set and class, and find clusters."""
    features: str = _PIXELS
    """Compare examples on a map by pixels, or by the inputs of a linear layer of --run.
    Name the layer as in the net; last is the last one."""
    run: str = "base"
    """Run of --features: base, the base model of the published scores, or a run's key."""
    maps: tyro.conf.OmitArgPrefixes[MapSettings] = field(default_factory=MapSettings)
    allow_nets: AllowedNets = ()
    machine: tyro.conf.OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        for name, metrics in vars(self.evidence).items():
            if not metrics:
                raise UserError(f"--{name}: expected a metric, got none")
        for name, cut in vars(self.cuts).items():
            if not 0 <= cut <= 100:
                raise UserError(
                    f"--{name.replace('_', '-')}: expected a percentile from 0 to 100, got {cut}"
                )
        if self.lowest < 1:
            raise UserError(f"--lowest: expected a number above 0, got {self.lowest}")
        least = {"map_rows": 1, "perplexity": 1, "smallest_cluster": 2, "map_seed": 0}
        for name, number in least.items():
            if not getattr(self.maps, name) >= number:
                raise UserError(
                    f"--{name.replace('_', '-')}: expected {number} or more, got "
                    f"{getattr(self.maps, name)}"
                )
        if self.features == _PIXELS and self.run != "base":
            raise UserError(
                "--run: expected it with --features last or a layer, got --features pixels"
            )
        self.machine.check()


def main(argv: Sequence[str], command: str) -> int:
    """Find the sets in published scores, and map them."""
    flags = parse_flags(SetsFlags, argv, "protoscore evaluate sets", __doc__)
    flags.check()
    allow_nets(flags.allow_nets)
    snapshot = flags.snapshot()
    metrics = [
        metric
        for kind, named in vars(flags.evidence).items()
        for metric in flags.published(snapshot, f"--{kind}", named)
    ]
    run = _run_of_features(flags, snapshot)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        _evaluate(evaluation, flags, snapshot, metrics, run)
    return 0


def _evaluate(
    evaluation: Evaluation,
    flags: SetsFlags,
    snapshot: Snapshot,
    metrics: Sequence[str],
    run: RunRecord | None,
) -> None:
    scores = read_joined_scores(snapshot, flags.split, metrics)
    note_left_out(scores)
    percentiles = example_sets.class_percentiles(scores, flags.evidence)
    sets = example_sets.example_sets(percentiles, flags.cuts)
    classes = snapshot.current(flags.split).classes
    findings = example_sets.findings(sets, percentiles, classes)
    findings += example_sets.among_lowest(sets, scores.percentile, flags.lowest)
    columns = example_sets.member_columns(sets, percentiles, scores.ids)
    columns |= dict.fromkeys(("cluster", "x", "y"), np.full(len(columns["set"]), np.nan))
    if flags.clusters:
        maps = _draw_maps(flags, snapshot, run, columns)
        columns |= example_sets.map_columns(columns, maps)
        findings += clusters.findings(maps, classes)
    names = read_names(snapshot, flags.split, metrics[0], columns["example_id"])
    given = given_labels(snapshot.current(flags.split).overlaid, columns["example_id"])
    version = publish_example_sets(
        snapshot.storage,
        snapshot.dataset,
        flags.split,
        {**columns, "name": names, "given_label": np.where(given < 0, np.nan, given)},
        evaluation.command,
    )
    shown = [(part, "examples") for part in ("all", *classes[:_MOST_SHOWN])]
    evaluation.report(f"sets_{flags.split}", findings, shown)
    say(
        f"Published {len(columns['set'])} rows as version {version} of "
        f"{snapshot.storage.uri}/{table_path('example_sets')}"
    )


def _run_of_features(flags: SetsFlags, snapshot: Snapshot) -> RunRecord | None:
    """Return the run of --features; None for pixels.

    Raises:
        UserError: an unknown run or layer, or pixels of texts.
    """
    if not flags.clusters:
        return None
    if flags.features == _PIXELS:
        if isinstance(snapshot.current(flags.split).shape, TextShape):
            raise UserError("--features: expected last or a layer for texts, got pixels")
        return None
    key = find_run(snapshot.storage, flags.run, snapshot.newest.base)
    run = load_record(snapshot.storage, key)
    Layer(load_model(snapshot.storage, run, "cpu"), flags.features, "--features")
    return run


def _draw_maps(
    flags: SetsFlags,
    snapshot: Snapshot,
    run: RunRecord | None,
    columns: Mapping[str, npt.NDArray[Any]],
) -> dict[Group, Map]:
    """Draw a map of each set and class that has enough examples for a cluster."""
    wanted = {
        group: clusters.sample_ids(columns["example_id"][rows], flags.maps)
        for group, rows in example_sets.groups(columns).items()
        if rows.stop - rows.start >= flags.maps.smallest_cluster
    }
    storage, version = snapshot.storage, snapshot.current(flags.split)
    with engine(flags.machine, snapshot.dataset) as cluster:
        if run is None:
            vectors = Vectors(storage=storage, version=version)
        else:
            device = cluster.device(run.device)
            cluster.stage_features(storage, run.key, flags.features, [version], device)
            vectors = Vectors(storage=storage, version=version, run=run.key, layer=flags.features)
        return cluster.draw_maps(vectors, wanted, flags.maps)
