"""What `evaluate slices` trains: every cut of every ranking, and the runs that learn from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from ray_jobs.evaluations.slice_flags import SlicesFlags, Variant
from ray_jobs.evaluations.staged import Examples
from ray_jobs.explanations.explain_plan import find_run
from scoring import registry
from scoring.analysis import windows
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.windows import Ranking
from scoring.arrays import Ints
from scoring.data.slice import Slice, make_slice
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.errors import UnknownName, UserError
from scoring.folds.prediction import PREDICTED
from scoring.nets import build
from scoring.run_spec import NetSpec, RunSpec
from scoring.runs.record import Run, RunRecord, identify, load_record
from scoring.score.assignments import Assignment, RunRef
from scoring.store.keys import SPLITS, Split
from scoring.store.storage import Storage
from scoring.training.recipes import heavy, recipe

WINDOW = ""
"""The end that a window is of: none."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A part of a metric's ranking, and a way of training on it."""

    metric: str
    within_classes: bool
    variant: Variant
    end: str
    """Which end of the ranking; `WINDOW` for consecutive examples anywhere."""
    part: str
    """Position of a window in percent, or how many examples of an end."""

    @property
    def ranking(self) -> str:
        """The metric, and the way of ranking by it and of training."""
        return self.metric + " within classes" * self.within_classes + self.variant.name

    @property
    def subject(self) -> str:
        """What findings are of."""
        return f"{self.ranking} {self.end}".strip()


@dataclass(frozen=True, kw_only=True)
class SlicePlan:
    """Every training, and how its net is asked."""

    flags: SlicesFlags
    snapshot: Snapshot
    like: RunRecord
    """The run that nets are like."""
    cuts: Mapping[Cut, tuple[Run, ...]]
    """What is trained on to its runs, which differ in their seeds."""
    slices: Mapping[str, Slice]
    """Run key to what it trains on."""

    @property
    def storage(self) -> Storage:
        """The store."""
        return self.snapshot.storage

    @property
    def versions(self) -> dict[Split, DatasetVersion]:
        """The splits as they are now."""
        return {split: self.snapshot.current(split) for split in SPLITS}

    @property
    def runs(self) -> tuple[Run, ...]:
        """Each training once; cuts may be alike."""
        return tuple({run.key: run for runs in self.cuts.values() for run in runs}.values())

    @property
    def judging(self) -> Examples:
        """All examples of the other split."""
        return Examples(storage=self.storage, version=self.versions[self.flags.other])

    @property
    def sample(self) -> Examples:
        """Those of them that attacks are made on."""
        every = max(1, self.judging.version.rows // self.flags.attacked)
        return replace(self.judging, every=every)

    def predicting(self, run: Run) -> Assignment:
        """How predictions of a run are staged."""
        return _alone(PREDICTED.name, PREDICTED.config(), run)

    def attacking(self, run: Run) -> dict[str, Assignment]:
        """Attack to how distances of a run are staged."""
        return {
            name: _alone(name, registry.metric(name).config(), run)
            for name in self.flags.robustness
        }

    def attacked(self) -> tuple[Run, ...]:
        """The runs of windows."""
        return tuple(run for cut, runs in self.cuts.items() if cut.end == WINDOW for run in runs)


def plan_slices(flags: SlicesFlags, snapshot: Snapshot) -> SlicePlan:
    """Write down every training; reads published scores alone.

    Raises:
        UserError: a metric that is not published or of old data, no run to be like, an unknown net
            or recipe, a ranking that is too short, or attacks on texts.
    """
    _refuse_unpublished(flags, snapshot)
    like = load_record(
        snapshot.storage, find_run(snapshot.storage, flags.run, snapshot.newest.base)
    )
    versions = {split: snapshot.current(split) for split in SPLITS}
    specs = {v: _spec(flags, like, v, versions[flags.split]) for v in flags.variants()}
    names = {split: version.version for split, version in versions.items()}
    cuts: dict[Cut, tuple[Run, ...]] = {}
    of_runs = {}
    for metric in dict.fromkeys(flags.metrics):
        ranked = _ranking(flags, snapshot, metric)
        for (variant, spec), seed in product(specs.items(), dict.fromkeys(flags.seeds)):
            for end, part, places in _places(flags, ranked.ids, seed):
                cut = Cut(
                    metric=metric,
                    within_classes=flags.within_classes,
                    variant=variant,
                    end=end,
                    part=part,
                )
                held = _slice(ranked, places, variant, versions[flags.split], seed)
                run = identify(replace(spec, seed=seed), {**names, flags.split: held.key})
                of_runs[run.key] = held
                cuts[cut] = (*cuts.get(cut, ()), run)
    return SlicePlan(flags=flags, snapshot=snapshot, like=like, cuts=cuts, slices=of_runs)


def _refuse_unpublished(flags: SlicesFlags, snapshot: Snapshot) -> None:
    """Both splits must be ranked, and as they are now; texts cannot be attacked."""
    for split, metric in product(SPLITS, flags.metrics):
        known = sorted(m for s, m in snapshot.manifests if s == split)
        if metric not in known:
            raise UnknownName(f"--metrics of {split}", metric, known)
        if snapshot.manifests[split, metric].dataset_version != snapshot.current(split).version:
            raise UserError(
                f"--metrics: expected scores of the newest {split} examples, got {metric} of "
                "earlier ones; run rescore"
            )
    if isinstance(snapshot.current(flags.split).shape, TextShape) and flags.robustness:
        raise UserError(
            f"--robustness: expected none for texts, got {flags.robustness[0]}; pass the flag "
            "without a name"
        )


def _spec(flags: SlicesFlags, like: RunRecord, variant: Variant, data: DatasetVersion) -> RunSpec:
    """A training like that of a run, on its own."""
    given = like.spec
    net = NetSpec(name=flags.net) if flags.net else replace(given.net, class_order=())
    build(net, shape=data.shape.dims, classes=len(data.classes))  # refuses what cannot fit
    how = recipe(flags.recipe) if flags.recipe else given.recipe
    if flags.epochs:
        how = replace(how, epochs=flags.epochs, min_steps=0)
    return RunSpec(
        kind="plain",
        split=flags.split,
        net=net,
        recipe=heavy(how) if variant.heavy else how,
        threads=given.threads,
        dtype=given.dtype,
        device=given.device,
    )


def _ranking(flags: SlicesFlags, snapshot: Snapshot, metric: str) -> Ranking:
    scores = snapshot.scores(flags.split, metric)
    ranked = windows.ranking(scores, within_classes=flags.within_classes)
    longest = max(flags.window, min(flags.sizes, default=0))
    if len(ranked.ids) < longest:
        flag = "--window" if longest == flags.window else "--sizes"
        raise UserError(
            f"{flag}: expected at most the {len(ranked.ids)} examples that {metric} ranks, got "
            f"{longest}"
        )
    return ranked


def _places(flags: SlicesFlags, ids: Ints, seed: int) -> Iterator[tuple[str, str, Ints]]:
    """End, part, and places in the ranking of what is trained on with one seed."""
    if flags.window:
        step = flags.step or flags.window
        for part, places in windows.windows(len(ids), flags.window, step).items():
            yield WINDOW, part, places
    for size in sorted({size for size in flags.sizes if size <= len(ids)}):
        for end, places in windows.ends(ids, size, seed).items():
            yield end, str(size), places


def _slice(
    ranked: Ranking, places: Ints, variant: Variant, data: DatasetVersion, seed: int
) -> Slice:
    ids, labels = ranked.ids[places], ranked.labels[places]
    if variant.noise:
        labels = windows.mislabelled(ids, labels, variant.noise, len(data.classes), seed)
    return make_slice(data.version, ids, labels)


def _alone(metric: str, config: object, run: Run) -> Assignment:
    """A metric of one run."""
    return Assignment(metric=metric, config=config, runs=(RunRef(key=run.key),))
