import numpy as np
import pytest
import torch

from scoring.data.shards import Shard
from scoring.data.training_set import TrainingSet
from scoring.registry import metric
from scoring.run_spec import NetSpec, RunSpec
from scoring.runs.record import identify
from scoring.runs.train_one import train_run
from scoring.score.assignments import Assignment, RunRef, Task
from scoring.score.scorer import Scorer
from scoring.score.signals import SignalOptions
from scoring.staged.scores import read_scores
from scoring.store.layout import staged_path
from scoring.store.sealed import write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import from_bytes, to_bytes
from scoring.training.recipes import recipe

ROWS = 20


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


@pytest.fixture
def run(storage):
    """Return a finished run on noise."""
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (ROWS, 8, 8, 1), dtype=np.uint8)
    data = TrainingSet(
        ids=np.arange(len(images)), inputs=images, labels=noise.integers(0, 3, ROWS), classes=3
    )
    versions = {"train": "v1", "test": "v2"}
    spec = RunSpec(kind="plain", split="train", net=NetSpec(name="mlp"), recipe=recipe("smoke"))
    run = identify(spec, versions)
    train_run(storage, run, versions, {"train": data, "test": data})
    return run


@pytest.fixture
def shard():
    noise = np.random.default_rng(1)
    return Shard(
        ids=np.arange(100, 100 + ROWS),
        labels=noise.integers(0, 3, ROWS),
        inputs=noise.integers(0, 256, (ROWS, 8, 8, 1), dtype=np.uint8),
        decodable=np.arange(ROWS) != 7,
    )


def scores(storage, run, shard):
    """Return the staged scores of `conf` on `shard`."""
    config, runs = metric("conf").config(), (RunRef(key=run.key),)
    how = Assignment(metric="conf", config=config, split="train", runs=runs)
    options = SignalOptions(batch_rows=8)
    Scorer(storage, "noise", options).score("content", shard, 3, [Task(assignment=how, key="key")])
    return read_scores(storage, staged_path("conf", "key"))


def test_an_undecodable_row_has_a_reason_and_no_value(storage, run, shard):
    staged = scores(storage, run, shard)
    assert staged.ids.tolist() == list(range(100, 120))
    assert np.isnan(staged.value).tolist() == (~shard.decodable).tolist()
    assert staged.status.tolist() == [""] * 7 + ["undecodable_image"] + [""] * 12
    assert np.isnan(staged.spread[7])


def test_outputs_that_are_not_numbers_give_a_reason_and_no_value(storage, run, shard):
    path = f"runs/{run.key}/model.safetensors"
    broken = {
        name: torch.full_like(w, torch.nan) for name, w in from_bytes(storage.read(path)).items()
    }
    write_sealed(storage, path, to_bytes(broken))
    staged = scores(storage, run, shard)
    assert np.isnan(staged.value).all()
    assert set(staged.status) == {"not_finite", "undecodable_image"}
