"""What a run adds up while it trains: the papers' formulas, epoch by epoch, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from scoring.data.training_set import TrainingSet
from scoring.errors import OutOfTime
from scoring.inputs import as_input
from scoring.left_out import LeftOut
from scoring.nets import build
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.runs.record import Run, load_weights
from scoring.runs.tally_file import read_tally
from scoring.runs.tallying import Tallying, _looking
from scoring.runs.train_one import train_run
from scoring.store.layout import tally_path, training_path
from scoring.store.sealed import write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes
from scoring.training.loop import train

ROWS, CLASSES, EPOCHS = 90, 4, 5
FOLD = LeftOut(seed=0, round=0, fold=1, folds=3)
PLAIN = Recipe(learning_rate=5e-3, batch_rows=16, epochs=EPOCHS)
NOISY = replace(PLAIN, crop=1, flip=True, dropout=0.4)
MEMBER = RunSpec(
    kind="plain", split="train", net=NetSpec(name="mlp"), recipe=PLAIN, seed=1000, left_out=FOLD
)
TUNED = replace(
    MEMBER, kind="finetuned", split="test", left_out=None, parent=replace(MEMBER, left_out=None)
)
VERSIONS = {"train": "v1", "test": "v2"}


def some_set(seed, rows=ROWS):
    """Images with a bright column for their class; some labels are wrong."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, CLASSES, rows)
    images = numbers.integers(0, 200, (rows, 8, 8, 1), dtype=np.uint8)
    images[np.arange(rows), :, 2 * labels, :] = 230
    labels[::7] = (labels[::7] + 1) % CLASSES
    return TrainingSet(
        ids=np.arange(10, 10 + 3 * rows, 3), inputs=images, labels=labels, classes=CLASSES
    )


DATA = {"train": some_set(0), "test": some_set(1, 60)}


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def made(storage, spec, key="0" * 32, parent="", data=DATA, **how):
    return train_run(storage, Run(spec=spec, key=key, parent=parent), VERSIONS, data, **how)


def tally_of(storage, record, data=DATA):
    looked = data[record.spec.tallies]
    return read_tally(storage, record, looked.ids, looked.labels)


def logits_after_each_epoch(spec, data, looked, start=None):
    """Return what the nets at the end of each epoch say in eval mode, [K, N, C] float64."""
    found = []

    def look(training):
        with torch.random.fork_rng(devices=[]):  # dropout draws from it too
            model = build(spec.net, shape=(8, 8, 1), classes=CLASSES)
        model.net.load_state_dict(training.weights)
        with torch.no_grad():
            found.append(model.eval()(as_input(torch.from_numpy(looked.inputs))).double())

    train(spec, data, start=start, on_epoch=look)
    return torch.stack(found).numpy()


def by_formula(logits, labels):
    """Return mean probabilities and margins over epochs, and since when rows are wrong, slowly."""
    columns = []
    for row, label in enumerate(labels):
        z = logits[:, row]
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        leads = z[:, label] - np.delete(z, label, axis=1).max(axis=1)
        wrong = z.argmax(axis=1) != label
        since = next((k + 1 for k in range(len(z)) if wrong[k:].all()), len(z) + 1)
        columns.append([p[:, label].mean(), leads.mean(), since])
    return np.array(columns).T


@pytest.mark.parametrize("recipe", [PLAIN, NOISY], ids=["plain", "noisy"])
def test_left_out_rows_are_looked_at_after_every_epoch(storage, recipe):
    spec, data = replace(MEMBER, recipe=recipe), DATA["train"]
    record = made(storage, spec)
    logits = logits_after_each_epoch(spec, data, data)
    probability, margin, _ = by_formula(logits, data.labels)
    out, got = FOLD.holds(data.ids), tally_of(storage, record)
    assert 20 < out.sum() < 40
    np.testing.assert_allclose(got.probability[out], probability[out], rtol=2e-5)
    np.testing.assert_allclose(got.margin[out], margin[out], rtol=2e-5, atol=1e-5)
    assert np.isnan(got.wrong_since).all()
    of_classes = torch.from_numpy(logits).softmax(dim=2).mean(dim=0).numpy()
    np.testing.assert_allclose(got.probabilities[out], of_classes[out], atol=3e-4)  # half precision
    assert np.isnan(got.probabilities[~out]).all()


def test_rows_that_are_trained_on_are_taken_before_the_step(storage):
    """With one batch an epoch, what goes by is what the epoch before has left."""
    spec = replace(MEMBER, recipe=replace(PLAIN, batch_rows=ROWS))
    data, start = DATA["train"], {}
    record = made(storage, spec)
    later = logits_after_each_epoch(spec, data, data)[:-1]
    with pytest.raises(ZeroDivisionError):
        train(spec, data, on_batch=lambda *batch: start.update(batch=batch) or 1 / 0)
    _, rows, result = start["batch"]
    seen = np.sort(rows.numpy())
    first = np.zeros((1, ROWS, CLASSES))
    first[0, rows.numpy()] = result.logits.numpy()
    probability, margin, _ = by_formula(np.concatenate([first, later]), data.labels)
    got = tally_of(storage, record)
    np.testing.assert_array_equal(seen, np.flatnonzero(~FOLD.holds(data.ids)))
    np.testing.assert_allclose(got.probability[seen], probability[seen], rtol=2e-5)
    np.testing.assert_allclose(got.margin[seen], margin[seen], rtol=2e-5, atol=1e-5)


def test_every_batch_that_goes_by_counts_once(storage, monkeypatch):
    monkeypatch.setattr("scoring.runs.tallying._WAITING", 3 * 16 * CLASSES)  # some batches at once
    spec, data = replace(MEMBER, recipe=NOISY, left_out=None), DATA["train"]
    went_by = np.full((EPOCHS, ROWS, CLASSES), np.nan)

    def note(epoch, rows, result):
        went_by[epoch - 1, rows.numpy()] = result.logits.numpy()

    train(spec, data, on_batch=note)
    probability, margin, _ = by_formula(went_by, data.labels)
    got = tally_of(storage, made(storage, spec))
    np.testing.assert_allclose(got.probability, probability, rtol=2e-5)
    np.testing.assert_allclose(got.margin, margin, rtol=2e-5, atol=1e-5)


def test_fine_tuning_looks_at_the_other_split(storage):
    made(storage, TUNED.parent, key="1" * 32)
    spec = replace(TUNED, recipe=replace(PLAIN, learning_rate=2e-2))
    record = made(storage, spec, parent="1" * 32)
    start, looked = load_weights(storage, "1" * 32), DATA["train"]
    logits = logits_after_each_epoch(spec, DATA["test"], looked, start=start)
    _, _, since = by_formula(logits, looked.labels)
    got = tally_of(storage, record)
    np.testing.assert_array_equal(got.wrong_since, since)
    assert np.isnan(got.margin).all()
    assert {1, EPOCHS + 1} < {*since}


KINDS = {
    "member": MEMBER,
    "dropout and augmentation": replace(MEMBER, net=NetSpec(name="small_cnn"), recipe=NOISY),
    "BatchNorm, bfloat16": replace(MEMBER, net=NetSpec(name="resnetv2"), dtype="bfloat16",
                                   recipe=replace(PLAIN, epochs=3)),
    "fine-tuned": replace(TUNED, net=NetSpec(name="small_cnn"), recipe=NOISY),
}  # fmt: skip


def start_of(storage, spec):
    if spec.parent:
        made(storage, replace(spec, kind="plain", split="train", parent=None), key="1" * 32)
    return "1" * 32 if spec.parent else ""


@pytest.mark.parametrize("kind", KINDS)
def test_looking_changes_no_bit_of_the_weights(storage, kind):
    spec = KINDS[kind]
    parent = start_of(storage, spec)
    record = made(storage, spec, parent=parent)
    assert record.tallied
    alone = train(spec, DATA[spec.split], start=load_weights(storage, parent) if parent else None)
    assert alone.losses == record.losses
    weights = load_weights(storage, record.key)
    assert all(torch.equal(weights[name], value) for name, value in alone.weights.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_adds_up_the_same(storage, tmp_path, kind):
    spec = KINDS[kind]
    parent = start_of(storage, spec)
    whole = made(storage, spec, parent=parent)
    other = Storage(str(tmp_path / "other"))
    start_of(other, spec)
    for _ in range(whole.epochs - 1):  # time is up after every epoch
        with pytest.raises(OutOfTime):
            made(other, spec, parent=parent, is_over=lambda: True)
    assert made(other, spec, parent=parent).losses == whole.losses
    path = tally_path(whole.key)
    assert other.read(path) == storage.read(path)


def test_a_training_that_an_earlier_version_began_keeps_no_tally(storage):
    with pytest.raises(OutOfTime):
        made(storage, MEMBER, is_over=lambda: True)
    unfinished = training_path("0" * 32)
    state = {n: v for n, v in from_bytes(storage.read(unfinished)).items() if "tally" not in n}
    write_sealed(storage, unfinished, exact_bytes(state))
    record = made(storage, MEMBER)
    assert record.epochs == EPOCHS
    assert not record.tallied
    assert storage.names(f"runs/{record.key}") == {"model.safetensors", "run.json"}


@pytest.mark.parametrize(
    "spec",
    [
        replace(MEMBER, keep_epochs=True),
        replace(MEMBER, split="test"),
        replace(MEMBER, kind="imported", weights="w"),
        replace(MEMBER, kind="private"),
        replace(TUNED, split="train"),
    ],
)
def test_other_runs_keep_none(spec):
    assert spec.tallies is None
    assert Tallying.begin(spec, DATA) is None


def test_a_run_on_a_slice_keeps_none():
    part = DATA["train"].only(DATA["train"].ids[:30], DATA["train"].labels[:30])
    assert Tallying.begin(MEMBER, {**DATA, "train": part}) is None
    assert Tallying.begin(MEMBER, DATA)


def test_layers_are_left_in_their_mode_and_no_number_is_drawn():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    net[1].eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with _looking(net, "cpu"):
        assert not any(module.training for module in net.modules())
        torch.rand(3)
    assert [module.training for module in net.modules()] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), before)
