"""Variance of gradients against a slow loop."""

import numpy as np
import pytest
import torch
from apply_metric import fold, small_net
from torch import nn

from scoring.metrics import vog, vog_early, vog_late, vog_logp, vog_logp_predicted, vog_predicted
from scoring.score.trajectories import observe
from scoring.spec import Batch, Checkpoint

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 2, 6, 6, generator=torch.Generator().manual_seed(3))


def colour_net(seed):
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        .eval()
        .requires_grad_(False)
    )


@pytest.fixture(scope="module")
def nets():
    return [colour_net(seed) for seed in range(5)]


def outputs(nets, images, labels=LABELS, run=0):
    batch = Batch(ids=np.arange(len(images)), labels=labels, inputs=images)
    predicted = nets[-1](images).argmax(dim=1)
    kinds = ("label", "predicted", "log_label", "log_predicted")
    return [
        observe(net, batch, Checkpoint(run=run, epoch=k, epochs=len(nets)), kinds, predicted)
        for k, net in enumerate(nets, start=1)
    ]


def slow(nets, images, classes, *, log=False):
    """Compute the definition: one example at a time, every gradient kept, float64."""
    values = []
    for image, c in zip(images.double(), classes, strict=True):
        saliency = []
        for net in nets:
            x = image.clone().requires_grad_()
            z = net.double()(x.unsqueeze(0))
            (z.log_softmax(dim=1) if log else z)[0, c].backward()
            saliency.append(x.grad.mean(dim=0))
            net.float()
        deviation = torch.stack(saliency).std(dim=0, correction=0)
        values.append(float(deviation.mean()))
    return np.array(values)


@pytest.mark.parametrize(
    ("module", "which", "log"),
    [
        (vog, slice(None), False),
        (vog_early, slice(0, 3), False),
        (vog_late, slice(2, 5), False),
        (vog_logp, slice(None), True),
    ],
)
def test_it_is_its_definition(nets, images, module, which, log):
    got = fold(module.METRIC, outputs(nets, images), LABELS)
    want = slow(nets[which], images, LABELS, log=log)
    np.testing.assert_allclose(got.value, want, rtol=1e-5)
    assert (got.spread == 0).all()


def test_predicted_forms_see_no_label(nets, images):
    predicted = nets[-1](images).argmax(dim=1).numpy()
    unlabelled = np.full(8, -1)
    seen = outputs(nets, images, unlabelled)
    got = fold(vog_predicted.METRIC, seen, unlabelled)
    np.testing.assert_allclose(got.value, slow(nets, images, predicted), rtol=1e-5)
    got = fold(vog_logp_predicted.METRIC, seen, unlabelled)
    np.testing.assert_allclose(got.value, slow(nets, images, predicted, log=True), rtol=1e-5)
    assert not got.status.any()


def test_a_net_that_does_not_change_has_none(nets, images):
    got = fold(vog.METRIC, outputs(4 * nets[:1], images), LABELS)
    assert got.value.tolist() == [0.0] * 8


def test_the_order_of_checkpoints_is_irrelevant(nets, images):
    there = fold(vog.METRIC, outputs(nets, images), LABELS).value
    back = fold(vog.METRIC, outputs(nets[::-1], images), LABELS).value
    np.testing.assert_allclose(there, back, rtol=1e-5)


def test_epochs_can_be_chosen(nets, images):
    config = vog.METRIC.config(epochs=(1, 4, 9))
    got = fold(vog.METRIC, outputs(nets, images), LABELS, config)
    np.testing.assert_allclose(got.value, slow([nets[0], nets[3]], images, LABELS), rtol=1e-5)


def test_runs_are_averaged(nets, images):
    others = [colour_net(seed) for seed in range(7, 10)]
    seen = outputs(nets, images) + outputs(others, images, run=1)
    got = fold(vog.METRIC, seen, LABELS)
    each = np.stack([slow(nets, images, LABELS), slow(others, images, LABELS)])
    np.testing.assert_allclose(got.value, each.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(got.spread, each.std(axis=0), rtol=1e-4, atol=1e-9)


def test_what_has_no_value_says_why(nets, images):
    labels = np.where(np.arange(8) == 2, -1, LABELS)
    got = fold(vog.METRIC, outputs(nets, images, labels), labels)
    assert got.status.tolist() == ["", "", "unlabelled", "", "", "", "", ""]
    assert np.isnan(got.value).tolist() == (labels < 0).tolist()
    got = fold(vog.METRIC, outputs(nets[:1], images), LABELS)
    assert set(got.status) == {"too_few_checkpoints"}
    assert np.isnan(got.value).all()


@pytest.mark.parametrize("module", [vog_early, vog_late])
def test_a_stage_of_one_epoch_is_refused(module):
    with pytest.raises(ValueError, match="count: expected 2 or more checkpoints, got 1"):
        module.METRIC.config(count=1)


def test_grey_images_work_too():
    net = small_net().eval()
    images = torch.rand(3, 1, 6, 6)
    got = fold(vog.METRIC, outputs([net, small_net(1).eval()], images, LABELS[:3]), LABELS[:3])
    assert (got.value > 0).all()
