"""A net trained on real digits, and images of its test split."""

import numpy as np
import pytest
import torch
from torch import nn

from scoring.attacks.common import frozen
from scoring.data.named import LOADERS
from scoring.data.training_set import TrainingSet
from scoring.nets import build
from scoring.run_spec import NetSpec, Recipe, RunSpec
from scoring.training.loop import train


@pytest.fixture(scope="package")
def trained():
    """A frozen net, images [200, 1, 8, 8], and the classes that the net gives them."""
    digits = {split: LOADERS["digits"](None, split) for split in ("train", "test")}
    spec = RunSpec(
        kind="plain",
        split="train",
        net=NetSpec(name="small_cnn"),
        recipe=Recipe(learning_rate=2e-3, batch_rows=64, epochs=6),
    )
    data = TrainingSet(
        ids=np.arange(len(digits["train"].images)),
        inputs=digits["train"].images,
        labels=digits["train"].labels,
        classes=10,
    )
    model = build(spec.net, shape=(8, 8, 1), classes=10)
    model.net.load_state_dict(train(spec, data).weights)
    images = torch.from_numpy(digits["test"].images[:200]).permute(0, 3, 1, 2).float() / 255
    with frozen(model):
        yield model, images, model(images).argmax(dim=1)


class Counted(nn.Module):
    """A net that records the number of rows in every forward and backward pass."""

    def __init__(self, net):
        super().__init__()
        self.net, self.forwards, self.backwards = net, [], []

    def forward(self, images):
        self.forwards.append(len(images))
        if images.requires_grad:
            images.register_hook(lambda gradient: self.backwards.append(len(gradient)))
        return self.net(images)


@pytest.fixture
def counted():
    """The wrapper that counts a net's passes."""
    return Counted
