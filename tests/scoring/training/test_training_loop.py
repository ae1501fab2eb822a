from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from scoring.data.training_set import TrainingSet
from scoring.errors import TrainingDiverged
from scoring.left_out import LeftOut
from scoring.nets import build
from scoring.run_spec import NetSpec, Privacy, Recipe, RunSpec
from scoring.training import recipes
from scoring.training.loop import train
from scoring.training.steps import learning_rate

RECIPE = Recipe(learning_rate=2e-3, batch_rows=32, epochs=2, crop=1, flip=True, dropout=0.3)
SPEC = RunSpec(kind="plain", split="train", net=NetSpec(name="small_cnn"), recipe=RECIPE, seed=1)
LEFT_OUT = LeftOut(seed=0, round=0, fold=1, folds=3)


def separable(rows=200, side=8):
    """Make images in which class c has a bright column 2c, so that any net learns them."""
    numbers = np.random.default_rng(0)
    labels = numbers.integers(0, 4, rows)
    images = numbers.integers(0, 120, (rows, side, side, 1), dtype=np.uint8)
    images[np.arange(rows), :, 2 * labels, :] = 250
    return TrainingSet(ids=np.arange(len(images)), inputs=images, labels=labels, classes=4)


DATA = separable()


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("net", ["small_cnn", "resnetv2", "whitened_cnn"])
def test_the_same_spec_gives_the_same_bits_in_any_surroundings(net, dtype):
    spec = replace(SPEC, net=NetSpec(name=net), dtype=dtype)
    first = train(spec, DATA)
    threads_before = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads_before == 1 else 1)
        torch.manual_seed(999)
        np.random.seed(999)  # noqa: NPY002 - the global generator must not matter
        with torch.no_grad():
            second = train(spec, DATA)
    finally:
        torch.set_num_threads(threads_before)
    assert same(first.weights, second.weights)
    assert first.losses == second.losses


def test_the_callers_threads_and_random_state_are_restored():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(replace(SPEC, threads=threads + 1), DATA)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("change", [{"seed": 2}, {"left_out": LEFT_OUT}, {"dtype": "bfloat16"}])
def test_a_change_of_the_spec_changes_the_weights(change):
    assert not same(train(SPEC, DATA).weights, train(replace(SPEC, **change), DATA).weights)


@pytest.mark.filterwarnings("error")
def test_read_only_data_gives_the_same_weights():
    images, labels = DATA.inputs.copy(), DATA.labels.copy()
    images.flags.writeable = labels.flags.writeable = False
    frozen = TrainingSet(ids=np.arange(len(images)), inputs=images, labels=labels, classes=4)
    assert same(train(SPEC, frozen).weights, train(SPEC, DATA).weights)


def test_a_net_learns_and_its_training_is_reported():
    recipe = replace(RECIPE, epochs=12, crop=0, flip=False, dropout=0.0)
    trained = train(replace(SPEC, recipe=recipe, left_out=LEFT_OUT), DATA)
    assert trained.rows == 200 - LEFT_OUT.holds(DATA.ids).sum()
    assert trained.epochs == len(trained.losses) == 12
    assert trained.losses[-1] < trained.losses[0] / 5
    assert trained.accuracy > 0.95
    assert trained.epsilon is None
    assert trained.noise_multiplier is None
    net = build(SPEC.net, shape=(8, 8, 1), classes=4)
    net.net.load_state_dict(trained.weights)
    net.eval()
    with torch.no_grad():
        logits = net(torch.from_numpy(DATA.inputs).permute(0, 3, 1, 2) / 255)
    assert (logits.argmax(1).numpy() == DATA.labels).mean() > 0.95


def test_rows_that_are_left_out_do_not_matter():
    spec = replace(SPEC, left_out=LEFT_OUT)
    changed = DATA.inputs.copy()
    changed[LEFT_OUT.holds(DATA.ids)] = 0
    other = TrainingSet(ids=np.arange(len(changed)), inputs=changed, labels=DATA.labels, classes=4)
    assert same(train(spec, DATA).weights, train(spec, other).weights)


def test_only_chosen_rows_matter():
    ids = np.arange(0, 200, 4)
    part = DATA.only(ids, DATA.labels[ids])
    trained = train(SPEC, part)
    assert trained.rows == 50
    changed = DATA.inputs.copy()
    changed[np.arange(200) % 4 > 0] = 0
    assert same(trained.weights, train(SPEC, replace(part, inputs=changed)).weights)
    alone = replace(DATA, ids=ids, inputs=DATA.inputs[ids], labels=DATA.labels[ids])
    assert same(trained.weights, train(SPEC, alone).weights)


def test_one_batch_of_plain_sgd_is_the_textbook_step():
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.0, batch_rows=200, epochs=1)
    spec = replace(SPEC, recipe=recipe)
    start = build(spec.net, shape=(8, 8, 1), classes=4)
    weights = {name: value.clone() for name, value in start.net.state_dict().items()}
    trained = train(replace(spec, kind="finetuned", parent=SPEC), DATA, start=weights)
    images = torch.from_numpy(DATA.inputs).permute(0, 3, 1, 2) / 255
    loss = nn.functional.cross_entropy(start(images), torch.from_numpy(DATA.labels))
    loss.backward()
    for name, parameter in start.net.named_parameters():
        expected = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(trained.weights[name], expected, rtol=1e-5, atol=1e-6)
    assert trained.losses[0] == pytest.approx(loss.item(), rel=1e-5)


def test_fine_tuning_continues_and_stops_when_flat():
    parent = train(replace(SPEC, recipe=replace(RECIPE, epochs=6, crop=0, dropout=0.0)), DATA)
    recipe = replace(RECIPE, epochs=40, learning_rate=1e-6, crop=0, flip=False, dropout=0.0)
    spec = replace(SPEC, kind="finetuned", parent=SPEC, recipe=replace(recipe, until_flat=0.01))
    tuned = train(spec, DATA, start=parent.weights)
    assert 1 < tuned.epochs < 40  # at this rate the loss hardly moves
    assert tuned.losses[-1] > 0.99 * min(tuned.losses[:-1])
    assert tuned.losses[0] < parent.losses[0] / 2
    still = train(replace(spec, recipe=replace(recipe, epochs=3)), DATA, start=parent.weights)
    assert still.epochs == 3  # until_flat = 0: exactly as many as the recipe says


def test_the_callback_gets_a_copy_of_the_weights_after_every_epoch():
    seen = []
    trained = train(SPEC, DATA, on_epoch=lambda t: seen.append((t.weights, list(t.losses))))
    assert [len(losses) for _, losses in seen] == [1, 2]
    assert seen[-1][1] == list(trained.losses)
    assert same(seen[1][0], trained.weights)
    assert not same(seen[0][0], seen[1][0])
    assert same(train(SPEC, DATA).weights, trained.weights)  # the callback changes nothing


def test_weights_are_plain_float32_on_the_cpu():
    spec = replace(SPEC, net=NetSpec(name="resnetv2"), dtype="bfloat16")
    weights = train(replace(spec, recipe=replace(RECIPE, epochs=1)), DATA).weights
    counters = {name for name in weights if name.endswith("num_batches_tracked")}
    assert {weights[name].dtype for name in weights.keys() - counters} == {torch.float32}
    assert all(value.is_contiguous() and not value.requires_grad for value in weights.values())


def test_a_diverged_training_is_reported_with_its_run():
    recipe = replace(RECIPE, optimizer="sgd", learning_rate=1e30, epochs=5)
    with pytest.raises(TrainingDiverged, match=r"plain train small_cnn x1 seed=1: .* got nan"):
        train(replace(SPEC, recipe=recipe), DATA)


def test_fine_tuning_needs_starting_weights():
    with pytest.raises(ValueError, match="weights to fine-tune"):
        train(replace(SPEC, kind="finetuned"), DATA)


def test_the_learning_rate_follows_milestones_and_decay():
    steps = Recipe(learning_rate=0.1, milestones=(150, 250))
    rates = [learning_rate(steps, epoch, 0, 9) for epoch in (1, 150, 151, 250, 251, 350)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    decay = Recipe(learning_rate=1e-3, learning_rate_decay=1e-3)
    assert [learning_rate(decay, 1, step, 9) for step in (0, 1000)] == pytest.approx([1e-3, 5e-4])


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    triangle = Recipe(learning_rate=0.8, peak=0.25)
    rates = [learning_rate(triangle, 1, step, 15) for step in range(15)]
    up = [0.2, 0.4, 0.6, 0.8]
    assert rates == pytest.approx([*up, *(0.8 * left / 12 for left in range(11, 0, -1))])


def test_a_whitening_is_fitted_to_the_training_rows_unless_it_is_private():
    spec = replace(SPEC, net=NetSpec(name="whitened_cnn", width=0.25))
    fresh = build(spec.net, shape=DATA.shape, classes=DATA.classes).net.state_dict()
    name = "whitening.weight"
    trained = train(spec, DATA).weights
    assert not torch.allclose(trained[name], fresh[name], atol=0.1)
    tuned = train(replace(spec, kind="finetuned"), DATA, start=trained).weights
    assert torch.equal(tuned[name], trained[name])
    private = replace(
        spec,
        kind="private",
        net=replace(spec.net, group_norm=True),
        recipe=recipes.private(spec.recipe),
        privacy=Privacy(epsilon=8.0, delta=1e-3),
    )
    assert torch.equal(train(private, DATA).weights[name], fresh[name])
