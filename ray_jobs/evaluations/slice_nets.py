"""The nets that `evaluate slices` judges: planned, trained as a fleet, and asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from ray_jobs.evaluations.slice_flags import SlicesFlags, Variant
from ray_jobs.evaluations.staged import Examples, is_staged, stage
from ray_jobs.explain_plan import find_run
from ray_jobs.flags import MachineFlags
from ray_jobs.job_record import Lease, new_job_id
from scoring import registry
from scoring.analysis import slices
from scoring.analysis.scores import Ints
from scoring.analysis.slices import Ranking
from scoring.analysis.snapshot import Snapshot
from scoring.data.slices import Slice, slice_of
from scoring.data.versions import DatasetVersion
from scoring.errors import IncompleteError, UserError
from scoring.keys import SPLITS, Split
from scoring.nets import build, check_net
from scoring.prediction import PREDICTED
from scoring.run_spec import NetSpec, RunSpec
from scoring.runs import Run, RunRecord, finished, identify, load_record, parse_spec
from scoring.scorer import Assignment, RunRef
from scoring.storage import Storage
from scoring.training.recipes import heavy, recipe

_GB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A net, and what of which ranking it is trained on."""

    kind: Literal["window", "end"]
    metric: str
    stem: str
    """Metric and variant."""
    subject: str
    part: str
    run: Run


@dataclass(frozen=True, kw_only=True)
class Nets:
    """All nets of an evaluation."""

    storage: Storage
    dataset: str
    """As `scores` calls it."""
    like: RunRecord
    """The run that they are like."""
    trained: tuple[Trained, ...]
    slices: Mapping[str, Slice]
    """Run key to what it trains on."""
    versions: Mapping[Split, DatasetVersion]
    judging: Examples
    sample: Examples
    robustness: tuple[str, ...]
    machine: MachineFlags

    @property
    def runs(self) -> tuple[Run, ...]:
        """Each training once."""
        return tuple({one.run.key: one.run for one in self.trained}.values())

    @property
    def attacked(self) -> tuple[Trained, ...]:
        """Those whose distance to the boundary is measured."""
        return tuple(one for one in self.trained if one.kind == "window")

    def predicting(self) -> dict[str, Assignment]:
        """Run key to how its predictions are staged."""
        return {run.key: _alone(PREDICTED.name, PREDICTED.config(), run) for run in self.runs}

    def attacking(self, attack: str) -> dict[str, Assignment]:
        """Run key to how its distances are staged."""
        config = registry.metric(attack).config()
        return {one.run.key: _alone(attack, config, one.run) for one in self.attacked}

    def predicted(self) -> dict[str, tuple[Ints, Ints]]:
        """Run key to ids [N], ascending, and predicted classes [N] of the judging split."""
        told = {key: self.judging.read(how) for key, how in self.predicting().items()}
        return {
            key: (staged.ids, np.nan_to_num(staged.value, nan=-1).astype(np.int64))
            for key, staged in told.items()
        }

    def distances(self, attack: str) -> dict[str, float]:
        """Run key to the mean distance of the sample; NaN where none was found."""
        told = {key: self.sample.read(how) for key, how in self.attacking(attack).items()}
        return {key: _mean(staged.value) for key, staged in told.items()}


def plan_nets(flags: SlicesFlags, snapshot: Snapshot) -> Nets:
    """Write down every net; reads published scores alone.

    Raises:
        UserError: no run to be like, an unknown net or recipe, or a ranking that is too short.
    """
    storage = snapshot.storage
    like = load_record(storage, find_run(storage, flags.run, snapshot.newest.base))
    versions = {split: snapshot.current(split) for split in SPLITS}
    specs = {variant: _spec(flags, like, variant, versions) for variant in flags.variants()}
    names = {split: version.version for split, version in versions.items()}
    trained, of_runs = [], {}
    for metric in dict.fromkeys(flags.metrics):
        ranked = slices.ranking(snapshot.scores(flags.split, metric))
        if len(ranked.ids) < flags.window:
            raise UserError(
                f"--window: expected at most the {len(ranked.ids)} examples that {metric} ranks, "
                f"got {flags.window}"
            )
        for variant, spec in specs.items():
            for seed in dict.fromkeys(flags.seeds):
                for kind, end, part, places in _cuts(flags, ranked.ids, seed):
                    cut = _slice(ranked, places, variant, versions[flags.split], seed)
                    run = identify(replace(spec, seed=seed), {**names, flags.split: cut.key})
                    of_runs[run.key] = cut
                    stem = f"{metric}{variant.name}"
                    subject = f"{stem} {end}".strip()
                    trained.append(
                        Trained(
                            kind=kind, metric=metric, stem=stem, subject=subject, part=part, run=run
                        )
                    )
    judging = Examples(storage=storage, version=versions[flags.other])
    every = max(1, judging.version.rows // flags.attacked)
    return Nets(
        storage=storage,
        dataset=snapshot.dataset,
        like=like,
        trained=tuple(trained),
        slices=of_runs,
        versions=versions,
        judging=judging,
        sample=replace(judging, every=every),
        robustness=flags.robustness,
        machine=flags.machine,
    )


def _spec(
    flags: SlicesFlags,
    like: RunRecord,
    variant: Variant,
    versions: Mapping[Split, DatasetVersion],
) -> RunSpec:
    """A training like that of a run, on its own."""
    given = parse_spec(like.spec)
    net = NetSpec(name=flags.net) if flags.net else replace(given.net, class_order=())
    check_net(net.name)
    how = recipe(flags.recipe) if flags.recipe else given.recipe
    if flags.epochs:
        how = replace(how, epochs=flags.epochs, min_steps=0)
    if variant.heavy:
        how = heavy(how)
    version = versions[flags.split]
    build(net, shape=version.shape.dims, classes=len(version.classes))  # refuses what cannot fit
    return RunSpec(
        kind="plain",
        split=flags.split,
        net=net,
        recipe=how,
        threads=given.threads,
        dtype=given.dtype,
        device=given.device,
    )


def _cuts(
    flags: SlicesFlags, ids: Ints, seed: int
) -> Iterator[tuple[Literal["window", "end"], str, str, Ints]]:
    """Kind of slice, which end, its name and its places in the ranking."""
    if flags.window:
        step = flags.step or flags.window
        for part, places in slices.windows(len(ids), flags.window, step).items():
            yield "window", "", part, places
    for size in sorted({size for size in flags.sizes if size <= len(ids)}):
        for end, places in slices.ends(ids, size, seed).items():
            yield "end", end, str(size), places


def _slice(
    ranked: Ranking, places: Ints, variant: Variant, version: DatasetVersion, seed: int
) -> Slice:
    ids, labels = ranked.ids[places], ranked.labels[places]
    if variant.noise:
        labels = slices.mislabelled(ids, labels, variant.noise, len(version.classes), seed)
    return slice_of(version.version, ids, labels)


def make_nets(nets: Nets, command: str) -> None:
    """Train and ask what is missing.

    Raises:
        IncompleteError: trainings failed; those that are done stay.
    """
    started = datetime.now(UTC)
    lease = Lease(
        nets.storage,
        "evaluate",
        job_id=new_job_id(started),
        started=started,
        command=command,
        dataset=nets.dataset,
    )
    answers = [(nets.judging, [*nets.predicting().values()])]
    answers += [(nets.sample, [*nets.attacking(attack).values()]) for attack in nets.robustness]
    missing = _missing(nets)
    if not missing and all(is_staged(*answer) for answer in answers):
        return
    # Ray takes seconds to import: what is there already never needs it.
    from ray_jobs.cluster import cluster

    with lease, cluster(nets.machine.address, nets.machine.cpus):
        _train(nets, missing)
        for answer in answers:
            stage(*answer, nets.like, nets.machine)
        lease.end("done")


def _missing(nets: Nets) -> list[Run]:
    """Those to train; says what they cost."""
    done = finished(nets.storage, [run.key for run in nets.runs])
    missing = [run for run in nets.runs if run.key not in done]
    passes = sum(_passes(run, nets.slices[run.key]) for run in missing)
    print(
        f"{len(nets.runs)} nets, {len(missing)} to train: {passes:,} examples forward and backward",
        flush=True,
    )
    return missing


def _train(nets: Nets, missing: Sequence[Run]) -> None:
    from ray_jobs.train_fleet import train_fleet

    left = train_fleet(
        nets.storage,
        missing,
        nets.versions,
        train_memory=int(nets.machine.train_memory_gb * _GB),
        gpus_per_run=nets.machine.gpus_per_run,
        slices={run.key: nets.slices[run.key] for run in missing},
    )
    if left:
        raise IncompleteError(
            f"expected {len(nets.runs)} trained nets, got {len(nets.runs) - len(left)}; the same "
            "command trains the others"
        )


def _passes(run: Run, part: Slice) -> int:
    return len(part.ids) * run.spec.recipe.epochs_for(len(part.ids))


def _alone(metric: str, config: object, run: Run) -> Assignment:
    """A metric of one run."""
    return Assignment(metric=metric, config=config, runs=(RunRef(key=run.key),))


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
