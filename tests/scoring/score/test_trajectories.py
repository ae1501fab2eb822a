"""Checkpoints of real runs in a store, read once for all metrics."""

import numpy as np
import pytest
import torch

from scoring.data.named import LOADERS
from scoring.data.shards import Shard
from scoring.data.training_set import TrainingSet
from scoring.registry import metrics
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.runs.record import identify, load_model, load_record
from scoring.runs.train_one import train_run
from scoring.score.assignments import Assignment, RunRef, Task
from scoring.score.scorer import Scorer
from scoring.score.signals import SignalOptions
from scoring.score.trajectories import observe, steps
from scoring.spec import Batch, Checkpoint, Signal
from scoring.staged.scores import read_scores
from scoring.store.layout import staged_path
from scoring.store.storage import Storage

EPOCHS = 5
ON_CHECKPOINTS = [spec for spec in metrics().values() if spec.signal is Signal.CHECKPOINTS]


@pytest.fixture(scope="module")
def digits():
    return {split: LOADERS["digits"](None, split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def store(tmp_path_factory, digits):
    """Return a storage, and runs of two seeds that kept their epochs."""
    storage = Storage(str(tmp_path_factory.mktemp("store")))
    versions = {"train": "v1", "test": "v2"}
    data = {
        split: TrainingSet(
            ids=np.arange(len(d.images)), inputs=d.images, labels=d.labels, classes=10
        )
        for split, d in digits.items()
    }
    runs = []
    for seed in (0, 1):
        spec = RunSpec(
            kind="plain",
            split="train",
            net=NetSpec(name="small_cnn", width=0.5),
            recipe=Recipe(learning_rate=2e-3, batch_rows=64, epochs=EPOCHS),
            seed=seed,
            keep_epochs=True,
        )
        run = identify(spec, versions)
        train_run(storage, run, versions, data)
        runs.append(run.key)
    return storage, runs


@pytest.fixture(scope="module")
def shard(digits):
    """Return 200 real images, one without a label."""
    labels = digits["test"].labels[:200].copy()
    labels[7] = -1
    return Shard(
        ids=np.arange(200),
        labels=labels,
        inputs=digits["test"].images[:200],
        decodable=np.full(200, True),
    )


def scored(store, shard, names, runs, **options):
    storage, _ = store
    tasks = [
        Task(
            assignment=Assignment(
                metric=name,
                config=metrics()[name].config(),
                split="test",
                runs=tuple(RunRef(key=key) for key in runs),
            ),
            key="-".join([name, *runs, *map(str, options.values())]),
        )
        for name in names
    ]
    Scorer(storage, "digits", SignalOptions(**options)).score("content", shard, 10, tasks)
    return {
        t.assignment.metric: read_scores(storage, staged_path(t.assignment.metric, t.key))
        for t in tasks
    }


def test_vog_is_a_slow_loop_in_float64(store, shard):
    storage, runs = store
    record = load_record(storage, runs[0])
    nets = [load_model(storage, record, "cpu", epoch).double() for epoch in range(1, EPOCHS + 1)]
    want = []
    for image, label in zip(shard.inputs, shard.labels, strict=True):
        x = (torch.from_numpy(image).double() / 255).permute(2, 0, 1).unsqueeze(0)
        gradients = []
        for net in nets:
            x.requires_grad_().grad = None
            net(x)[0, max(label, 0)].backward()
            gradients.append(x.grad[0].mean(dim=0).clone())
        want.append(float(torch.stack(gradients).std(dim=0, correction=0).mean()))
    got = scored(store, shard, ["vog"], runs[:1])["vog"]
    labelled = shard.labels >= 0
    np.testing.assert_allclose(got.value[labelled], np.array(want)[labelled], rtol=1e-5)
    assert got.status[7] == "unlabelled"


def test_every_checkpoint_is_observed_once_for_all_metrics(store, shard, monkeypatch):
    _, runs = store
    seen = []

    def counted(model, batch, checkpoint, kinds, predicted):
        seen.append((checkpoint.run, checkpoint.epoch, int(batch.ids[0]), tuple(sorted(kinds))))
        return observe(model, batch, checkpoint, kinds, predicted)

    monkeypatch.setattr("scoring.score.trajectories.observe", counted)
    scored(store, shard, [spec.name for spec in ON_CHECKPOINTS], runs, batch_rows=64)
    observed = [at[:3] for at in seen]
    assert len(observed) == len(set(observed)) == 2 * EPOCHS * 4
    assert {kinds for *_, kinds in seen} == {("label", "log_label", "log_predicted", "predicted")}


@pytest.mark.parametrize("spec", ON_CHECKPOINTS, ids=lambda spec: spec.name)
def test_alone_and_in_small_blocks_it_is_the_same(store, shard, spec):
    _, runs = store
    names = [spec.name for spec in ON_CHECKPOINTS]
    together = scored(store, shard, names, runs, batch_rows=50)[spec.name]
    alone = scored(store, shard, [spec.name], runs, batch_rows=50, block_bytes=1)[spec.name]
    np.testing.assert_array_equal(alone.value, together.value)
    np.testing.assert_array_equal(alone.spread, together.spread)
    assert np.isfinite(alone.value).sum() >= 199
    assert (alone.spread[np.isfinite(alone.spread)] > 0).any()


def test_models_that_were_observed_can_be_attacked(store, shard):
    _, runs = store
    both = scored(store, shard, ["vog_predicted", "adv_linf"], runs[:1], cache_bytes=2 << 20)
    assert np.isfinite(both["vog_predicted"].value).all()
    assert np.isfinite(both["adv_linf"].value).all()


def test_imported_checkpoints_are_one_training():
    got = [(s.run, s.epoch, s.checkpoint, s.finished) for s in steps({"a": 0, "b": 0})]
    assert got == [
        ("a", 0, Checkpoint(run=0, epoch=1, epochs=2), "b"),
        ("b", 0, Checkpoint(run=0, epoch=2, epochs=2), "b"),
    ]
    got = [(s.run, s.epoch, s.checkpoint, s.finished) for s in steps({"a": 2, "b": 1})]
    assert got == [
        ("a", 1, Checkpoint(run=0, epoch=1, epochs=2), "a"),
        ("a", 2, Checkpoint(run=0, epoch=2, epochs=2), "a"),
        ("b", 1, Checkpoint(run=1, epoch=1, epochs=1), "b"),
    ]


def test_a_gradient_is_the_mean_over_colours():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).requires_grad_(False)
    batch = Batch(ids=np.arange(3), labels=np.array([0, 1, -1]), inputs=torch.rand(3, 3, 2, 2))
    place = Checkpoint(run=0, epoch=1, epochs=1)
    output = observe(net, batch, place, ["label"], None)
    want = net[1].weight[[0, 1, 0]].reshape(3, 3, 4).mean(dim=1)
    torch.testing.assert_close(output.gradients["label"], want)
