"""The plan of `evaluate slices`: every cut of every ranking, and the runs to train on it."""

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
"""The `end` of windows, which are at no end."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A part of a metric's ranking, and a way of training on it."""

    metric: str
    within_classes: bool
    variant: Variant
    end: str
    """An end of the ranking, or `WINDOW` for consecutive examples anywhere."""
    part: str
    """Position of a window in percent, or number of examples of an end."""

    @property
    def ranking(self) -> str:
        """The metric, how it ranks and how nets are trained."""
        return self.metric + " within classes" * self.within_classes + self.variant.name

    @property
    def subject(self) -> str:
        """Subject of its findings."""
        return f"{self.ranking} {self.end}".strip()


@dataclass(frozen=True, kw_only=True)
class SlicePlan:
    """Every training, and how its net is tested."""

    flags: SlicesFlags
    snapshot: Snapshot
    imitated: RunRecord
    """The run whose net and recipe are the defaults."""
    cuts: Mapping[Cut, tuple[Run, ...]]
    """The runs that train on each cut; they differ in their seeds."""
    slices: Mapping[str, Slice]
    """The slice that each run trains on, by run key."""

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
        """Every run once, although several cuts may share it."""
        return tuple({run.key: run for runs in self.cuts.values() for run in runs}.values())

    @property
    def tested(self) -> Examples:
        """All examples of the other split."""
        return Examples(storage=self.storage, version=self.versions[self.flags.other])

    @property
    def sample(self) -> Examples:
        """Those of them that are attacked."""
        every = max(1, self.tested.version.rows // self.flags.attacked)
        return replace(self.tested, every=every)

    def prediction(self, run: Run) -> Assignment:
        """Return how a run's predictions are staged."""
        return _one_run(PREDICTED.name, PREDICTED.config(), self.flags.other, run)

    def distances(self, run: Run) -> dict[str, Assignment]:
        """Return how a run's distances to the boundary are staged, by metric."""
        return {
            name: _one_run(name, registry.metric(name).config(), self.flags.other, run)
            for name in self.flags.robustness
        }

    def attacked(self) -> tuple[Run, ...]:
        """Return the runs that are attacked: those that train on windows."""
        return tuple(run for cut, runs in self.cuts.items() if cut.end == WINDOW for run in runs)


def plan_slices(flags: SlicesFlags, snapshot: Snapshot) -> SlicePlan:
    """Plan every training. Reads only published scores.

    Raises:
        UserError: a metric that is not published or scored older data, no run to imitate, an
            unknown net or recipe, a ranking that is too short, or attacks on texts.
    """
    _refuse_unpublished(flags, snapshot)
    storage = snapshot.storage
    imitated = load_record(storage, find_run(storage, flags.run, snapshot.newest.base))
    versions = {split: snapshot.current(split) for split in SPLITS}
    data = versions[flags.split]
    specs = {variant: _spec(flags, imitated, variant, data) for variant in flags.variants()}
    keys = {split: version.version for split, version in versions.items()}
    cuts: dict[Cut, tuple[Run, ...]] = {}
    slices = {}
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
                part_of_split = _slice(ranked, places, variant, data, seed)
                run = identify(replace(spec, seed=seed), {**keys, flags.split: part_of_split.key})
                slices[run.key] = part_of_split
                cuts[cut] = (*cuts.get(cut, ()), run)
    return SlicePlan(flags=flags, snapshot=snapshot, imitated=imitated, cuts=cuts, slices=slices)


def _refuse_unpublished(flags: SlicesFlags, snapshot: Snapshot) -> None:
    """Refuse metrics unless both splits are ranked as they are now; refuse attacks on texts."""
    for split, metric in product(SPLITS, flags.metrics):
        known = sorted(m for s, m in snapshot.manifests if s == split)
        if metric not in known:
            raise UnknownName(f"--metrics, {split} split", metric, known)
        if snapshot.manifests[split, metric].dataset_version != snapshot.current(split).version:
            raise UserError(
                f"--metrics: expected scores of the newest {split} examples, got {metric} scores "
                "of older ones; run rescore"
            )
    if isinstance(snapshot.current(flags.split).shape, TextShape) and flags.robustness:
        raise UserError(
            f"--robustness: expected none for texts, got {flags.robustness[0]}; give the flag "
            "without a name"
        )


def _spec(
    flags: SlicesFlags, imitated: RunRecord, variant: Variant, data: DatasetVersion
) -> RunSpec:
    """Return a plain run with the net and recipe of the imitated run, unless flags change them."""
    given = imitated.spec
    net = NetSpec(name=flags.net) if flags.net else replace(given.net, class_order=())
    build(net, shape=data.shape.dims, classes=len(data.classes))  # refuses a net that does not fit
    chosen = recipe(flags.recipe) if flags.recipe else given.recipe
    if flags.epochs:
        chosen = replace(chosen, epochs=flags.epochs, min_steps=0)
    return RunSpec(
        kind="plain",
        split=flags.split,
        net=net,
        recipe=heavy(chosen) if variant.heavy else chosen,
        threads=given.threads,
        dtype=given.dtype,
        device=given.device,
    )


def _ranking(flags: SlicesFlags, snapshot: Snapshot, metric: str) -> Ranking:
    """Return a metric's ranking.

    Raises:
        UserError: it is too short for a window, or for the smallest size.
    """
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
    """Yield end, part and places in the ranking of each slice to train on with one seed."""
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
    """Return the examples at some places of a ranking, with wrong labels if the variant says so."""
    ids, labels = ranked.ids[places], ranked.labels[places]
    if variant.noise:
        labels = windows.mislabelled(ids, labels, variant.noise, len(data.classes), seed)
    return make_slice(data.version, ids, labels)


def _one_run(metric: str, config: object, split: Split, run: Run) -> Assignment:
    """Return a metric that reads one run."""
    return Assignment(metric=metric, config=config, split=split, runs=(RunRef(key=run.key),))
