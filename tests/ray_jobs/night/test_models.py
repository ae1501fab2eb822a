"""Which runs signals read, and what their keys depend on."""

from dataclasses import replace

import pytest

from ray_jobs.night.models import ChosenFleet, Models
from scoring.run_spec import NetSpec, RunSpec
from scoring.runs.fleet import PRESETS, Hardware, build_fleet
from scoring.spec import Signal
from scoring.training.recipes import recipe

TODAY = {"train": "t1", "test": "e1"}


@pytest.fixture
def chosen() -> ChosenFleet:
    fleet = build_fleet(
        PRESETS["demo"],
        net=NetSpec(name="mlp"),
        recipe=recipe("quick"),
        hardware=Hardware(threads=2),
        seed=0,
        train_rows=100,
    )
    return ChosenFleet(
        fleet=fleet,
        hardware=Hardware(threads=2),
        settings={},
        train_rows=100,
        published_on=None,
    )


def test_a_published_fleet_keeps_the_data_it_was_trained_on(chosen):
    before = {"train": "t0", "test": "e0"}
    assert chosen.on(TODAY).trained_on == TODAY
    assert replace(chosen, published_on=before).on(TODAY).trained_on == before


@pytest.mark.parametrize(
    ("signal", "split", "reads"),
    [
        (Signal.BASE, "test", {"train"}),
        (Signal.ENSEMBLE, "train", {"train"}),
        (Signal.PRIVATE, "train", {"train"}),
        (Signal.REPRESENTER, "train", {"train"}),
        (Signal.PAIRS, "train", {"train", "test"}),
        (Signal.PAIRS, "test", {"train", "test"}),
    ],
)
def test_the_key_of_a_run_depends_on_the_splits_that_shaped_it(chosen, signal, split, reads):
    for changed in TODAY:
        other = chosen.on({**TODAY, changed: "other"})
        before, after = chosen.on(TODAY).runs(signal, split), other.runs(signal, split)
        same = [a.key == b.key for a, b in zip(before, after, strict=True)]
        assert same == [changed not in reads] * len(before), changed


def test_needed_runs_come_once_and_after_their_parents(chosen):
    runs = chosen.on(TODAY).needed(Signal, ["train", "test"])
    keys = [run.key for run in runs]
    assert len(keys) == len(set(keys)) == 27
    for run in runs:
        assert not run.parent or keys.index(run.parent) < keys.index(run.key)


def test_needed_runs_of_one_split_leave_out_the_pairs_of_the_other(chosen):
    models = chosen.on(TODAY)
    wanted = models.needed([Signal.PAIRS], ["test"])
    pairs = {run.key for run in models.runs(Signal.PAIRS, "test")}
    assert {run.key for run in wanted} == pairs | {run.parent for run in wanted if run.parent}
    assert not {run.key for run in models.runs(Signal.PAIRS, "train")} & {r.key for r in wanted}


def test_the_base_run_is_the_one_that_attacks_and_layers_at_rest_start_from(chosen):
    models = chosen.on(TODAY)
    assert models.runs(Signal.BASE, "test") == (models.base(),)
    assert [run.parent for run in models.runs(Signal.REPRESENTER, "test")] == [models.base().key]
    assert models.base() in models.runs(Signal.CHECKPOINTS, "train")


def test_checkpoints_are_epochs_of_watched_runs_or_imported_ones(chosen):
    quick = recipe("quick")
    assert chosen.checkpoints() == quick.epochs_for(100) > quick.epochs
    imported = RunSpec(kind="imported", split="train", net=NetSpec(name="mlp"), weights="w")
    fleet = replace(chosen.fleet, watched=(imported, replace(imported, weights="v")))
    assert replace(chosen, fleet=fleet).checkpoints() == 2


def test_hardware_is_kept_as_text(chosen):
    models: Models = chosen.on(TODAY)
    assert models.hardware_settings() == {"device": "cpu", "dtype": "float32", "threads": "2"}
