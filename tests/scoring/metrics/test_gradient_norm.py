import numpy as np
import pytest
import torch
from torch import nn

from scoring.metrics.gradient_norm import METRIC, Config
from scoring.spec import Batch

LABELS = np.array([0, 1, 2, -1])


def net(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.ReLU(),
        nn.Linear(8, 3, bias=bias),
    ).eval()


def slow(model, batch, weights):
    """Compute one example at a time, by backward()."""
    norms = []
    for image, label in zip(batch.inputs, batch.labels, strict=True):
        model.zero_grad()
        logits = model(image.unsqueeze(0))
        nn.functional.cross_entropy(logits, torch.tensor([max(label, 0)])).backward()
        norms.append(np.sqrt(sum(float(w.grad.square().sum()) for w in weights(model))))
    model.zero_grad(set_to_none=True)
    return np.array(norms)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("weights", "read"),
    [("last", lambda model: model[-1].parameters()), ("all", lambda model: model.parameters())],
)
def test_it_is_its_definition(weights, read, bias):
    model = net(bias)
    batch = Batch(ids=np.arange(4), labels=LABELS, inputs=torch.rand(4, 1, 6, 6))
    got = METRIC.score(Config(weights=weights), batch, model)
    want = slow(model, batch, read)
    np.testing.assert_allclose(got.value[:3], want[:3], rtol=1e-5)
    assert got.status.tolist() == ["", "", "", "unlabelled"]


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="weights: expected one of last, all, got 'some'"):
        Config(weights="some")
