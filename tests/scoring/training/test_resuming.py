"""A training that is interrupted and resumed elsewhere ends as if nothing had happened."""

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


class Interrupted(Exception):
    """Stands for the loss of the machine."""


def interrupt_after(epoch, spec):
    """Return the state, as bytes, of a training whose process ended after `epoch`."""
    kept = []

    def keep(training):
        if len(training.losses) == epoch:
            kept.append(exact_bytes(training.save()))
            raise Interrupted

    with pytest.raises(Interrupted):
        train(spec, DATA, on_epoch=keep)
    return kept[0]


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_equals_an_uninterrupted_one(kind, epoch):
    spec = KINDS[kind]
    uninterrupted = train(spec, DATA)
    resumed = train(spec, DATA, resume=from_bytes(interrupt_after(epoch, spec)))
    assert same(resumed.weights, uninterrupted.weights)
    assert resumed.losses == uninterrupted.losses
    assert resumed.accuracy == uninterrupted.accuracy
    assert resumed.epsilon == uninterrupted.epsilon


def test_a_resumed_fine_tuning_that_was_already_flat_ends_at_once():
    parent = train(SPEC, DATA).weights
    recipe = replace(LONGER, learning_rate=1e-6, epochs=40, until_flat=0.5)
    spec = replace(SPEC, kind="finetuned", parent=SPEC, recipe=recipe)
    uninterrupted = train(spec, DATA, start=parent)
    assert uninterrupted.epochs == 2
    states = []
    train(spec, DATA, start=parent, on_epoch=lambda t: states.append(t.save()))
    resumed = train(spec, DATA, start=parent, resume=states[-1])
    assert resumed.epochs == 2
    assert same(resumed.weights, uninterrupted.weights)


def test_a_run_out_of_time_is_kept_and_resumed(tmp_path):
    storage = Storage(str(tmp_path))
    run = Run(spec=replace(SPEC, recipe=LONGER, keep_epochs=True), key="r")
    data, versions = {"train": DATA, "test": DATA}, {"train": "v1", "test": "v2"}
    for epoch in (1, 2):  # time is up after every epoch, so each attempt does one
        with pytest.raises(OutOfTime, match=f"stopped after epoch {epoch}"):
            train_run(storage, run, versions, data, is_over=lambda: True)
        assert not finished(storage, ["r"])
    record = train_run(storage, run, versions, data)
    assert record.epochs == 4
    other = Storage(str(tmp_path / "uninterrupted"))
    assert record.losses == train_run(other, run, versions, data).losses
    for name in ["model.safetensors", *(f"checkpoints/epoch-000{n}.safetensors" for n in "1234")]:
        assert storage.read(f"runs/r/{name}") == other.read(f"runs/r/{name}")
    assert storage.names("runs/r") == {"checkpoints", "model.safetensors", "run.json"}
    assert load_record(storage, "r") == record
