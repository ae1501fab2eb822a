"""The fleet that a night uses: the published one, or a new one."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

from ray_jobs.night.changed_share import changed_share
from ray_jobs.night.choose_fleet import choose_fleet
from ray_jobs.terminal.night_flags import FleetFlags
from scoring.data.corrections import Correction, Overlaid
from scoring.data.images import ImageShape
from scoring.data.ingest import PlannedShard, Survey
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Piece
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.errors import BadData, BadStore, UserError
from scoring.nets import build
from scoring.run_spec import NetSpec
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition

GREY = Layout(classes=("a", "b"), shape=ImageShape(height=8, width=8, channels=1))
ROWS = 10


def survey(split, shards, layout=GREY, new=()):
    """A split of shards named by letters; those of `new` are not ingested yet."""
    planned = tuple(
        PlannedShard(
            split=split,
            piece=Piece(file=name, start=0, rows=ROWS, fingerprint=""),
            first_id=i * ROWS,
            receipt=f"receipt-{name}",
            record=None if name in new else record(name, i),
        )
        for i, name in enumerate(shards)
    )
    return Survey(name="mine", split=split, layout=layout, shards=planned, ranges={})


def record(name, place):
    return ShardRecord(
        content=name, first_id=place * ROWS, rows=ROWS, undecodable=0, trainable=ROWS
    )


def surveys(train, test="xyz", **options):
    return {"train": survey("train", train, **options), "test": survey("test", test, **options)}


def versions(train, test="xyz", layout=GREY):
    return {
        split: DatasetVersion(
            name="mine",
            split=split,
            classes=layout.classes,
            shape=layout.shape,
            shards=tuple(record(name, i) for i, name in enumerate(shards)),
            ranges={},
        )
        for split, shards in (("train", train), ("test", test))
    }


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def published(storage, of, settings, night=1, **hardware):
    """The manifest of a fleet that was trained on some versions."""
    for version in of.values():
        version.save(storage)
    machine = {"device": "cpu", "dtype": "float32", "threads": "1", **hardware}
    return Manifest(
        partition=Partition("mine", "train", "msp"),
        key="k",
        night_id="n",
        planned_at=datetime(2026, 3, night, tzinfo=UTC).isoformat(),
        settings={**settings, **machine},
        dataset_version=of["train"].version,
        trained_on={split: version.version for split, version in of.items()},
        runs=(),
        rows=ROWS,
    )


def choose(storage, today, before=(), **flags):
    fleet = FleetFlags(**{"net": "mlp", **flags})
    return choose_fleet(fleet, surveys=today, storage=storage, published=before)


@pytest.mark.parametrize(
    ("train", "test", "share"),
    [
        ("abcdefg", "xyz", 0),
        ("abcdefgh", "xyz", 0.1),
        ("abcdef", "xyz", 0.1),
        ("abcdefgh", "xyzw", 0.2),  # both splits count
        ("bcdefgh", "xyz", 0.1),  # one shard new and another gone, or a shard corrected
        ("hijklmnop", "uvw", 1.2),
        ("a", "x", 0.8),
    ],
)
def test_share_of_changed_rows(train, test, share):
    assert changed_share(surveys(train, test), versions("abcdefg")) == pytest.approx(share)


def test_shards_that_are_not_ingested_are_new():
    assert changed_share(surveys("abcdefgh", new="h"), versions("abcdefg")) == 0.1
    assert changed_share(surveys("abcdefg", new="g"), versions("abcdefg")) == 0.1


def relabelled(name, *overlaid):
    """A shard whose content `name` stands for, with other labels for some rows."""
    return replace(
        record(name, 0),
        content=f"{name} {overlaid}",
        overlaid=tuple(Overlaid(*row) for row in overlaid),
        as_given=name,
    )


@pytest.mark.parametrize(
    ("before", "today", "rows"),
    [
        ([], [(1, 0, 1), (2, 0, -1)], 2),
        ([(1, 0, 1), (2, 0, -1)], [(1, 0, 1)], 1),  # given back
        ([(1, 0, 1)], [(1, 0, -1), (2, 0, -1)], 2),
    ],
)
def test_of_a_corrected_shard_the_rows_with_another_label_count(before, today, rows):
    then, now = versions("abcdefg"), surveys("abcdefg")
    first = relabelled("a", *before) if before else then["train"].shards[0]
    others = then["train"].shards[1:]
    then["train"] = replace(then["train"], shards=(first, *others))
    planned = replace(now["train"].shards[0], record=relabelled("a", *today))
    now["train"] = replace(now["train"], shards=(planned, *now["train"].shards[1:]))
    all_rows = sum(version.rows for version in then.values())
    assert changed_share(now, then) == pytest.approx(rows / all_rows)
    as_planned = tuple(
        Correction(
            split="train",
            example_id=i,
            example="hash",
            label=None if label < 0 else now["train"].layout.classes[label],
            excluded=label < 0,
        )
        for i, _, label in today
    )
    waiting = replace(planned, record=None, corrections=as_planned, uncorrected=record("a", 0))
    now["train"] = replace(now["train"], shards=(waiting, *now["train"].shards[1:]))
    assert changed_share(now, then) == pytest.approx(rows / all_rows)


def test_a_source_that_takes_over_corrections_has_not_changed():
    then, now = versions("abcdefg"), surveys("abcdefg")
    corrected = replace(relabelled("z", (1, 0, 1)), content="a")
    then["train"] = replace(then["train"], shards=(corrected, *then["train"].shards[1:]))
    assert changed_share(now, then) == 0


def test_nothing_has_changed_since_no_training():
    assert changed_share(surveys("abc"), {}) == 0


@pytest.mark.parametrize(
    ("models", "reused"),
    [
        ("reuse", True),
        ("retrain", False),
        ("retrain-if-changed=0.19", False),
        ("retrain-if-changed=0.2", False),
        ("retrain-if-changed=0.21", True),
        ("retrain-if-changed=1", True),
    ],
)
def test_which_fleet_is_used_when_a_fifth_has_changed(storage, models, reused):
    before = versions("abcdefg")
    manifest = published(storage, before, choose(storage, surveys("abcdefg")).settings)
    chosen = choose(storage, surveys("abcdefghi"), [manifest], models=models)
    assert chosen.published_on == (manifest.trained_on if reused else None)
    assert chosen.train_rows == (70 if reused else 90)


def test_a_dataset_that_is_replaced_as_a_whole_has_changed_by_one(storage):
    manifest = published(storage, versions("abc"), choose(storage, surveys("abc")).settings)
    chosen = choose(storage, surveys("def", "uvw"), [manifest], models="retrain-if-changed=1")
    assert chosen.published_on is None


def test_retraining_without_a_change_gives_the_same_runs(storage):
    today = surveys("abcdefg")
    manifest = published(storage, versions("abcdefg"), choose(storage, today).settings)
    reused, retrained = (choose(storage, today, [manifest], models=m) for m in ("reuse", "retrain"))
    assert retrained.published_on is None
    assert retrained.on(manifest.trained_on).base() == reused.on({}).base()
    assert retrained.fleet == reused.fleet


def test_a_reused_fleet_keeps_the_specs_it_was_trained_with(storage):
    """Delta of private runs goes with the rows: more rows would make other runs of them."""
    first = choose(storage, surveys("abcdefg"))
    manifest = published(storage, versions("abcdefg"), first.settings, threads="4")
    more = surveys("abcdefghijk")
    reused = choose(storage, more, [manifest])
    deltas = {chosen.fleet.private[0].privacy.delta for chosen in (first, reused)}
    assert deltas == {1e-2}
    assert choose(storage, more).fleet.private[0].privacy.delta == 1e-3
    assert reused.hardware.threads == reused.fleet.base.threads == 4


def test_the_newest_fleet_of_the_same_settings_is_reused(storage):
    settings = choose(storage, surveys("abc")).settings
    fleets = [
        published(storage, versions("ab"), settings, night=2),
        published(storage, versions("abc"), settings, night=3),
        published(storage, versions("a"), settings, night=1),
        published(storage, versions("abcd"), {**settings, "seed": "7"}, night=4),
    ]
    assert choose(storage, surveys("abcd"), fleets).published_on == fleets[1].trained_on
    assert choose(storage, surveys("abcd"), fleets, seed=7).published_on == fleets[3].trained_on
    assert choose(storage, surveys("abcd"), fleets, seed=8).published_on is None


def test_hardware_that_is_asked_for_is_not_inherited(storage):
    settings = choose(storage, surveys("abc")).settings
    manifest = published(storage, versions("abc"), settings, threads="4")
    assert choose(storage, surveys("abc"), [manifest], threads=2).hardware.threads == 2
    assert choose(storage, surveys("abc"), [manifest], dtype="bfloat16").hardware.threads == 1


@pytest.mark.parametrize("harm", [{"device": {"a": 1}}, {"dtype": "int8"}, {"threads": "a"}])
def test_hardware_that_cannot_be_is_refused(storage, harm):
    settings = choose(storage, surveys("abc")).settings
    manifest = published(storage, versions("abc"), settings, **harm)
    with pytest.raises(BadStore, match="expected device, dtype and threads of the published fl"):
        choose(storage, surveys("abc"), [manifest])


def test_a_fleet_of_other_classes_or_images_is_not_reused(storage):
    settings = choose(storage, surveys("abc")).settings
    manifest = published(storage, versions("abc"), settings)
    for changed in (
        replace(GREY, classes=("a", "b", "c")),
        replace(GREY, shape=ImageShape(height=8, width=9, channels=1)),
    ):
        today = surveys("abc", layout=changed)
        with pytest.raises(BadData, match=r"--models reuse: .*pass --models retrain"):
            choose(storage, today, [manifest])
        assert choose(storage, today, [manifest], models="retrain").published_on is None


COLOUR = Layout(classes=("a", "b"), shape=ImageShape(height=8, width=8, channels=3))
TEXTS = Layout(classes=("a", "b"), shape=TextShape(tokens=6))


@pytest.mark.parametrize(
    ("fleet", "layout", "net", "recipe"),
    [
        ("demo", GREY, "small_cnn", "quick"),
        ("demo", COLOUR, "small_cnn", "quick"),
        ("demo", TEXTS, "bag_of_embeddings", "text"),
        ("standard", COLOUR, "resnetv2", "paper_cifar"),
        ("paper", TEXTS, "lstm", "text"),
    ],
)
def test_default_net_and_recipe(storage, fleet, layout, net, recipe):
    today = surveys("abc", layout=layout)
    settings = choose(storage, today, fleet=fleet, net="").settings
    assert (settings["net"], settings["recipe"]) == (net, recipe)


def test_grey_images_are_scored_as_in_the_paper(storage):
    large = replace(GREY, shape=ImageShape(height=28, width=28, channels=1))
    settings = choose(storage, surveys("abc", layout=large), fleet="paper", net="").settings
    assert (settings["net"], settings["recipe"]) == ("paper_cnn", "paper_mnist")


def test_changes_to_a_recipe_are_part_of_the_settings_and_of_every_run(storage):
    chosen = choose(storage, surveys("abc"), recipe="quick", epochs=3, train_batch_rows=7)
    assert chosen.settings["recipe"] == "quick epochs=3 batch-rows=7"
    runs = [chosen.fleet.base, *chosen.fleet.ensemble]
    assert {run.recipe.epochs_for(10) for run in runs} == {3}
    assert {run.recipe.batch_rows for run in runs} == {7}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"fleet": "huge"}, "--fleet: expected one of demo"),
        ({"net": "nosuch"}, "--net: expected one of"),
        ({"recipe": "nosuch"}, "--recipe: expected one of"),
        ({"net": "lstm"}, "--net: expected a net"),
    ],
)
def test_unknown_names_are_refused(storage, flags, message):
    with pytest.raises(UserError, match=message):
        choose(storage, surveys("abc"), **flags)


def test_texts_are_neither_cropped_nor_flipped(storage):
    with pytest.raises(UserError, match="neither crops nor flips for texts, got paper_cifar"):
        choose(storage, surveys("abc", layout=TEXTS), net="lstm", recipe="paper_cifar")


@pytest.fixture
def imported(tmp_path):
    """A manifest of a base model, two members and three checkpoints; returns the flag's value."""
    roles = ["base", "ensemble", "ensemble", "checkpoint", "checkpoint", "checkpoint"]
    for seed in range(len(roles)):
        torch.manual_seed(seed)
        net = build(NetSpec(name="mlp"), shape=GREY.shape.dims, classes=2).net
        torch.save(net.state_dict(), tmp_path / f"{seed}.pt")
    runs = [
        {"weights": f"{seed}.pt", "net": "mlp", "role": role} for seed, role in enumerate(roles)
    ]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"runs": runs}))
    return str(path)


def test_imported_runs_take_their_places(storage, imported):
    chosen = choose(storage, surveys("abc"), import_runs=imported)
    fleet = chosen.fleet
    assert [run.kind for run in (fleet.base, *fleet.ensemble)] == ["imported"] * 3
    assert [run.weights for run in fleet.watched] == [
        run.spec.weights for run in chosen.imported if run.role == "checkpoint"
    ]
    assert fleet.representer.parent == fleet.base
    assert {run.kind for run in fleet.pairs["train"]} == {"finetuned"}
    assert chosen.checkpoints() == 3


def test_a_fleet_with_imports_is_another_fleet(storage, imported):
    own = choose(storage, surveys("abc")).settings
    theirs = choose(storage, surveys("abc"), import_runs=imported).settings
    assert own["import-runs"] == "none" != theirs["import-runs"]
    different = {name: value for name, value in own.items() if theirs.get(name) != value}
    assert different == {"folds": "3", "import-runs": "none"}  # whose ensemble has no folds
    manifest = published(storage, versions("abc"), own)
    assert choose(storage, surveys("abc"), [manifest], import_runs=imported).published_on is None
