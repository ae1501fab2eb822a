"""Which models a night uses: the fleet that was published, or one for today's data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, cast

import torch

from ray_jobs.terminal.night_flags import FleetFlags
from scoring.data.ingest import Survey
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion, load_version
from scoring.errors import BadData, UserError
from scoring.nets import PrivateForm, build, check_net, private_form
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.runs.fleet import BY_LABELS, Fleet, Hardware, build_fleet, preset
from scoring.runs.imports import Imported, read_manifest, with_imports
from scoring.runs.record import Run, identify
from scoring.spec import Signal
from scoring.store.keys import SPLITS, Split, digest
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest
from scoring.training.loop import pays_bfloat16
from scoring.training.recipes import recipe


@dataclass(frozen=True, kw_only=True)
class Models:
    """A fleet, and the data it was or will be trained on."""

    fleet: Fleet
    hardware: Hardware
    trained_on: Mapping[Split, str]
    """Dataset version of each split; empty while today's are unknown."""
    settings: Mapping[str, str]
    """What of it must not change in silence."""
    train_rows: int
    reused: bool
    """Today's scores continue those that are published."""
    imported: tuple[Imported, ...] = ()
    private_form: PrivateForm = "same"
    """What private runs train in place of the net; none: it cannot be trained privately."""

    def hardware_settings(self) -> dict[str, str]:
        """What a later night inherits, so that it finds the same runs."""
        return {name: str(value) for name, value in asdict(self.hardware).items()}

    def base(self) -> Run:
        """The base run, named once its data is known."""
        return self._named(self.fleet.base)

    def runs(self, signal: Signal, split: Split) -> tuple[Run, ...]:
        """The runs that a metric of `signal` reads, named once their data is known."""
        return tuple(self._named(spec) for spec in self.fleet.runs(signal, split))

    def named_runs(self, signals: Iterable[Signal], splits: Iterable[Split]) -> tuple[Run, ...]:
        """Every run that `signals` read on `splits`, parents first."""
        return tuple(self._named(spec) for spec in self.fleet.needed(sorted(signals), splits))

    def checkpoints(self) -> int:
        """How many the watched runs are planned to keep: one of each epoch, or the imported."""
        return sum(
            spec.recipe.epochs_for(self.train_rows) if spec.keep_epochs else 1
            for spec in self.fleet.watched
        )

    def _named(self, spec: RunSpec) -> Run:
        if not self.trained_on and spec.splits():
            return Run(spec=spec, key="")
        return identify(spec, self.trained_on)


def choose_models(
    flags: FleetFlags,
    *,
    surveys: Mapping[Split, Survey],
    versions: Mapping[Split, DatasetVersion],
    storage: Storage,
    published: Iterable[Manifest],
) -> Models:
    """Decide on the fleet of a night.

    Args:
        flags: what the user asked for.
        surveys: what there is of each split today.
        versions: today's dataset versions; empty while pieces are missing.
        storage: the store.
        published: manifests of the partitions that the night may replace.

    Raises:
        UserError: unknown fleet, net or recipe; a fleet made for other classes or images.
    """
    layout, rows = surveys["train"].layout, surveys["train"].rows
    imported = read_manifest(flags.import_runs, layout) if flags.import_runs else ()
    settings = _settings(flags, layout, imported)
    before = _published_with(settings, published)
    seen = _trained_on(storage, surveys, before) if before else {}
    if changed_share(surveys, seen) > flags.retrain_beyond():
        before, seen = None, {}
    trained_on = {split: version.version for split, version in (seen or versions).items()}
    if seen:
        _check_layout(seen["train"], layout)
        rows = seen["train"].rows
    net = NetSpec(name=settings["net"])
    shape, classes = layout.shape.dims, len(layout.classes)
    build(net, shape=shape, classes=classes)  # refuses what cannot fit
    hardware = _hardware(flags, net, before)
    form = private_form(net, shape=shape, classes=classes)
    fleet = build_fleet(
        preset(flags.fleet),
        net=net,
        recipe=_recipe(flags, layout),
        hardware=hardware,
        seed=flags.seed,
        train_rows=rows,
        ensemble=flags.ensemble,
        group_norm=form == "group_norm",
        representer=replace(BY_LABELS, penalty=flags.representer_lambda),
    )
    return Models(
        fleet=with_imports(fleet, imported),
        hardware=hardware,
        trained_on=trained_on,
        settings=settings,
        train_rows=rows,
        reused=before is not None,
        imported=imported,
        private_form=form,
    )


def _settings(flags: FleetFlags, layout: Layout, imported: tuple[Imported, ...]) -> dict[str, str]:
    """What makes a fleet another one, with the defaults filled in."""
    net, recipe_name = _names(flags, layout)
    changes = {"epochs": flags.epochs, "batch-rows": flags.train_batch_rows}
    changed = [f"{name}={number}" for name, number in changes.items() if number]
    return {
        "fleet": flags.fleet,
        "net": net,
        "recipe": " ".join([recipe_name, *changed]),
        "ensemble": flags.ensemble,
        "seed": str(flags.seed),
        "import-runs": digest([[run.spec, run.role] for run in imported]) if imported else "none",
    }


def _names(flags: FleetFlags, layout: Layout) -> tuple[str, str]:
    """Net and recipe, by default what the paper used for such images, or quick ones."""
    preset(flags.fleet)
    net, by = _defaults(layout.shape, quick=flags.fleet == "demo")
    net, by = flags.net or net, flags.recipe or by
    check_net(net)
    chosen = recipe(by)
    if isinstance(layout.shape, TextShape) and (chosen.crop or chosen.flip):
        raise UserError(f"--recipe: expected one that neither crops nor flips for texts, got {by}")
    return net, by


def _defaults(shape: InputShape, *, quick: bool) -> tuple[str, str]:
    if isinstance(shape, TextShape):
        return ("bag_of_embeddings" if quick else "lstm"), "text"
    if quick:
        return "small_cnn", "quick"
    return ("paper_cnn", "paper_mnist") if shape.channels == 1 else ("resnetv2", "paper_cifar")


def _recipe(flags: FleetFlags, layout: Layout) -> Recipe:
    """The recipe by name, with what the flags say otherwise."""
    _, name = _names(flags, layout)
    chosen = recipe(name)
    if flags.epochs:
        chosen = replace(chosen, epochs=flags.epochs, min_steps=0)
    return replace(chosen, batch_rows=flags.train_batch_rows or chosen.batch_rows)


def _published_with(settings: Mapping[str, str], published: Iterable[Manifest]) -> Manifest | None:
    for manifest in sorted(published, key=lambda m: m.planned_at, reverse=True):
        if all(manifest.settings.get(name) == value for name, value in settings.items()):
            return manifest
    return None


def _trained_on(
    storage: Storage, surveys: Mapping[Split, Survey], before: Manifest
) -> dict[Split, DatasetVersion]:
    """The versions that a published fleet was trained on."""
    return {
        split: load_version(storage, surveys[split].name, split, before.trained_on[split])
        for split in SPLITS
    }


def changed_share(surveys: Mapping[Split, Survey], seen: Mapping[Split, DatasetVersion]) -> float:
    """Rows that are new or gone since `seen`, whichever are more, over the rows of `seen`; >= 0."""
    if not seen:
        return 0.0
    new = gone = 0
    for split, version in seen.items():
        before = {shard.content: shard.rows for shard in version.shards}
        today = {
            s.record.content if s.record else s.receipt: s.piece.rows for s in surveys[split].shards
        }
        new += sum(today[content] for content in today.keys() - before.keys())
        gone += sum(before[content] for content in before.keys() - today.keys())
    return max(new, gone) / sum(version.rows for version in seen.values())


def _check_layout(seen: DatasetVersion, layout: Layout) -> None:
    if seen.classes != layout.classes or seen.shape != layout.shape:
        raise BadData(
            f"--models reuse: expected {len(seen.classes)} classes and {seen.shape} examples, "
            f"which the published fleet was trained on, got {len(layout.classes)} classes and "
            f"{layout.shape} ones; pass --models retrain"
        )


def _hardware(flags: FleetFlags, net: NetSpec, before: Manifest | None) -> Hardware:
    """What the flags fix, else what the published fleet was made on, else what pays here."""
    if before and flags.device == flags.dtype == "auto" and flags.threads is None:
        return Hardware(
            device=cast(Literal["cpu", "cuda"], before.settings["device"]),
            dtype=cast(Literal["float32", "bfloat16"], before.settings["dtype"]),
            threads=int(before.settings["threads"]),
        )
    device = flags.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = flags.dtype
    if dtype == "auto":
        dtype = "bfloat16" if pays_bfloat16(net, device) else "float32"
    return Hardware(device=device, dtype=dtype, threads=flags.threads or 1)
