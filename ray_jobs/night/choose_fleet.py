"""Choosing the fleet of a night: the published one, or a new one for today's data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, cast

import torch

from ray_jobs.night.models import ChosenFleet
from ray_jobs.terminal.night_flags import FleetFlags
from scoring.data.ingest import Survey
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion, load_version
from scoring.errors import BadData, UserError
from scoring.nets import build, check_net, private_form
from scoring.run_spec import NetSpec, Recipe
from scoring.runs.fleet import BY_LABELS, Hardware, build_fleet, preset
from scoring.runs.imports import Imported, read_manifest, with_imports
from scoring.store.keys import SPLITS, Split, digest
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest
from scoring.training.precision import pays_bfloat16
from scoring.training.recipes import recipe


def choose_fleet(
    flags: FleetFlags,
    *,
    surveys: Mapping[Split, Survey],
    storage: Storage,
    published: Iterable[Manifest],
) -> ChosenFleet:
    """Decide which fleet a night uses.

    Args:
        flags: what the user asked for.
        surveys: what each split of the source holds today.
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
    if seen:
        _check_layout(seen["train"], layout)
        rows = seen["train"].rows
    net = NetSpec(name=settings["net"])
    shape, classes = layout.shape.dims, len(layout.classes)
    build(net, shape=shape, classes=classes)  # refuses a net that does not fit
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
    return ChosenFleet(
        fleet=with_imports(fleet, imported),
        hardware=hardware,
        settings=settings,
        train_rows=rows,
        published_on={split: version.version for split, version in seen.items()} or None,
        imported=imported,
        private_form=form,
    )


def _settings(flags: FleetFlags, layout: Layout, imported: tuple[Imported, ...]) -> dict[str, str]:
    """The settings that tell one fleet from another, with defaults filled in."""
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
    """Net and recipe: by default quick ones for `demo`, else those of the papers."""
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
    """The recipe, with the changes that flags make."""
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
    """The dataset versions that a published fleet was trained on."""
    return {
        split: load_version(storage, surveys[split].name, split, before.trained_on[split])
        for split in SPLITS
    }


def changed_share(surveys: Mapping[Split, Survey], seen: Mapping[Split, DatasetVersion]) -> float:
    """Share of rows that changed since `seen`: the larger of new and gone, over all of `seen`."""
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
    """What the flags say, else what the published fleet used, else what is fastest here."""
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
