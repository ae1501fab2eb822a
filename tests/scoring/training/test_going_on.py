"""A training that is cut short and goes on elsewhere ends as if nothing had happened."""

from dataclasses import replace

import pytest
from test_training_loop import DATA, RECIPE, SPEC, same

from scoring.errors import OutOfTime
from scoring.run_spec import NetSpec, Privacy
from scoring.runs.record import Run, finished, load_record
from scoring.runs.train_one import train_run
from scoring.store.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes
from scoring.training.loop import train

LONGER = replace(RECIPE, epochs=4)
KINDS = {
    "adam, dropout, augmentation": replace(SPEC, recipe=LONGER),
    "bfloat16, BatchNorm": replace(
        SPEC, net=NetSpec(name="resnetv2"), recipe=LONGER, dtype="bfloat16"
    ),
    "sgd, milestones": replace(
        SPEC, recipe=replace(LONGER, optimizer="sgd", momentum=0.9, milestones=(2,))
    ),
    "decaying rate": replace(SPEC, recipe=replace(LONGER, learning_rate_decay=0.1)),
    "private": replace(
        SPEC,
        kind="private",
        recipe=replace(LONGER, optimizer="sgd", momentum=0.9, dropout=0.0),
        privacy=Privacy(epsilon=8.0, delta=1e-3),
    ),
}


class Cut(Exception):
    """The machine is gone."""


def cut_after(epoch, spec):
    """The state of a training whose process ended after `epoch`, as bytes."""
    kept = []

    def keep(training):
        if len(training.losses) == epoch:
            kept.append(exact_bytes(training.save()))
            raise Cut

    with pytest.raises(Cut):
        train(spec, DATA, on_epoch=keep)
    return kept[0]


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_losses_are_those_of_an_undisturbed_training(kind, epoch):
    spec = KINDS[kind]
    undisturbed = train(spec, DATA)
    resumed = train(spec, DATA, resume=from_bytes(cut_after(epoch, spec)))
    assert same(resumed.weights, undisturbed.weights)
    assert resumed.losses == undisturbed.losses
    assert resumed.accuracy == undisturbed.accuracy
    assert resumed.epsilon == undisturbed.epsilon


def test_a_fine_tuning_that_was_flat_when_it_was_cut_ends_there():
    parent = train(SPEC, DATA).weights
    recipe = replace(LONGER, learning_rate=1e-6, epochs=40, until_flat=0.5)
    spec = replace(SPEC, kind="finetuned", parent=SPEC, recipe=recipe)
    undisturbed = train(spec, DATA, start=parent)
    assert undisturbed.epochs == 2
    states = []
    train(spec, DATA, start=parent, on_epoch=lambda t: states.append(t.save()))
    again = train(spec, DATA, start=parent, resume=states[-1])
    assert again.epochs == 2
    assert same(again.weights, undisturbed.weights)


def test_a_run_out_of_time_is_kept_and_goes_on(tmp_path):
    storage = Storage(str(tmp_path))
    run = Run(spec=replace(SPEC, recipe=LONGER, keep_epochs=True), key="r")
    data, versions = {"train": DATA, "test": DATA}, {"train": "v1", "test": "v2"}
    for epoch in (1, 2):  # no epoch begins after its time, so each try makes one
        with pytest.raises(OutOfTime, match=f"stopped after epoch {epoch}"):
            train_run(storage, run, versions, data, until=0.0)
        assert not finished(storage, ["r"])
    record = train_run(storage, run, versions, data)
    assert record.epochs == 4
    other = Storage(str(tmp_path / "undisturbed"))
    assert record.losses == train_run(other, run, versions, data).losses
    for name in ["model.safetensors", *(f"checkpoints/epoch-000{n}.safetensors" for n in "1234")]:
        assert storage.read(f"runs/r/{name}") == other.read(f"runs/r/{name}")
    assert storage.names("runs/r") == {"checkpoints", "model.safetensors", "run.json"}
    assert load_record(storage, "r") == record
