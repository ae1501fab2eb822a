"""Choosing the fleet of a night: the published one, or a new one for today's data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast, get_args

import torch

from ray_jobs.night.changed_share import changed_share
from ray_jobs.night.models import ChosenFleet
from ray_jobs.terminal.night_flags import FleetFlags
from scoring.data.ingest import Survey
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion, load_version
from scoring.errors import BadData, BadStore, UserError
from scoring.nets import PrivateForm, build, check_net, private_form
from scoring.run_spec import NetSpec, Recipe
from scoring.runs.fleet import (
    BY_LABELS,
    FOLDS,
    Device,
    Dtype,
    Fleet,
    Hardware,
    build_fleet,
    preset,
)
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
        flags: the fleet's flags.
        surveys: what each split of the source holds today.
        storage: the store.
        published: manifests of the partitions that the night may replace, all of this source.

    Raises:
        UserError: an unknown fleet, net or recipe, or a published fleet that was trained on other
            classes or shapes.
    """
    layout = surveys["train"].layout
    imported = read_manifest(flags.import_runs, layout) if flags.import_runs else ()
    settings = _settings(flags, layout, imported)
    before = _published_with(settings, published)
    trained_on = _trained_on(storage, surveys, before) if before else {}
    if changed_share(surveys, trained_on) >= flags.retrain_from():
        before, trained_on = None, {}
    if trained_on:
        _check_layout(trained_on["train"], layout)
    rows = trained_on["train"].rows_then if trained_on else surveys["train"].rows
    net = NetSpec(name=settings["net"])
    form = _private_form(net, layout)
    hardware = _hardware(flags, net, before)
    fleet = _fleet(flags, layout, net, hardware, rows, group_norm=form == "group_norm")
    return ChosenFleet(
        fleet=with_imports(fleet, imported),
        hardware=hardware,
        settings=settings,
        train_rows=rows,
        published_on={split: version.version for split, version in trained_on.items()} or None,
        imported=imported,
        private_form=form,
    )


def _fleet(
    flags: FleetFlags,
    layout: Layout,
    net: NetSpec,
    hardware: Hardware,
    rows: int,
    *,
    group_norm: bool,
) -> Fleet:
    """Return the fleet that the flags describe, to be trained on this many rows."""
    return build_fleet(
        preset(flags.fleet),
        net=net,
        recipe=_recipe(flags, layout),
        hardware=hardware,
        seed=flags.seed,
        train_rows=rows,
        ensemble=flags.ensemble,
        folds=flags.folds or FOLDS,
        group_norm=group_norm,
        representer=replace(BY_LABELS, penalty=flags.representer_lambda),
    )


def _settings(flags: FleetFlags, layout: Layout, imported: tuple[Imported, ...]) -> dict[str, str]:
    """Return the settings that tell one fleet from another, defaults included."""
    net, recipe_name = _names(flags, layout)
    changes = {"epochs": flags.epochs, "batch-rows": flags.train_batch_rows}
    changed = [f"{name}={number}" for name, number in changes.items() if number]
    own_members = all(run.role != "ensemble" for run in imported)
    folded = flags.ensemble == "subsets" and own_members
    return {
        "fleet": flags.fleet,
        "net": net,
        "recipe": " ".join([recipe_name, *changed]),
        "ensemble": flags.ensemble,
        **({"folds": str(flags.folds or FOLDS)} if folded else {}),
        "seed": str(flags.seed),
        "import-runs": digest([[run.spec, run.role] for run in imported]) if imported else "none",
    }


def _names(flags: FleetFlags, layout: Layout) -> tuple[str, str]:
    """Return the names of net and recipe; the defaults are quick for `demo`, else the papers'."""
    preset(flags.fleet)  # refuses an unknown one
    net, recipe_name = _defaults(layout.shape, quick=flags.fleet == "demo")
    net, recipe_name = flags.net or net, flags.recipe or recipe_name
    check_net(net)
    chosen = recipe(recipe_name)
    if isinstance(layout.shape, TextShape) and (chosen.crop or chosen.flip):
        raise UserError(
            f"--recipe: expected one that neither crops nor flips for texts, got {recipe_name}"
        )
    return net, recipe_name


def _defaults(shape: InputShape, *, quick: bool) -> tuple[str, str]:
    if isinstance(shape, TextShape):
        return ("bag_of_embeddings" if quick else "lstm"), "text"
    if quick:
        return "small_cnn", "quick"
    return ("paper_cnn", "paper_mnist") if shape.channels == 1 else ("resnetv2", "paper_cifar")


def _recipe(flags: FleetFlags, layout: Layout) -> Recipe:
    """Return the recipe, changed as the flags say."""
    _, name = _names(flags, layout)
    chosen = recipe(name)
    if flags.epochs:
        chosen = replace(chosen, epochs=flags.epochs, min_steps=0)
    return replace(chosen, batch_rows=flags.train_batch_rows or chosen.batch_rows)


def _private_form(net: NetSpec, layout: Layout) -> PrivateForm:
    """Return the form of the net that private runs train.

    Raises:
        UserError: the net does not fit the examples.
    """
    shape, classes = layout.shape.dims, len(layout.classes)
    build(net, shape=shape, classes=classes)  # refuses a net that does not fit
    return private_form(net, shape=shape, classes=classes)


def _published_with(settings: Mapping[str, str], published: Iterable[Manifest]) -> Manifest | None:
    """Return the newest manifest with these settings."""
    for manifest in sorted(published, key=lambda m: m.planned_at, reverse=True):
        if all(manifest.settings.get(name) == value for name, value in settings.items()):
            return manifest
    return None


def _trained_on(
    storage: Storage, surveys: Mapping[Split, Survey], before: Manifest
) -> dict[Split, DatasetVersion]:
    """Load the dataset versions that a published fleet was trained on."""
    return {
        split: load_version(storage, surveys[split].name, split, before.trained_on[split])
        for split in SPLITS
    }


def _check_layout(trained_on: DatasetVersion, layout: Layout) -> None:
    if trained_on.classes != layout.classes or trained_on.shape != layout.shape:
        raise BadData(
            f"--models reuse: expected {len(trained_on.classes)} classes and {trained_on.shape} "
            "examples, as the published fleet was trained on, got "
            f"{len(layout.classes)} classes and {layout.shape} examples; pass --models retrain"
        )


def _hardware(flags: FleetFlags, net: NetSpec, before: Manifest | None) -> Hardware:
    """Return what the flags say, else what the published fleet used, else what is fastest here."""
    if before and flags.device == flags.dtype == "auto" and flags.threads is None:
        return _hardware_of(before)
    device = flags.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = flags.dtype
    if dtype == "auto":
        dtype = "bfloat16" if pays_bfloat16(net, device) else "float32"
    return Hardware(device=device, dtype=dtype, threads=flags.threads or 1)


def _hardware_of(published: Manifest) -> Hardware:
    found = {name: str(published.settings.get(name)) for name in ("device", "dtype", "threads")}
    device, dtype, threads = found.values()
    if (
        device not in get_args(Device)
        or dtype not in get_args(Dtype)
        or not (threads.isascii() and threads.isdecimal())
    ):
        raise BadStore(
            f"--store: expected device, dtype and threads of the published fleet, got {found}"
        )
    return Hardware(device=cast(Device, device), dtype=cast(Dtype, dtype), threads=int(threads))
