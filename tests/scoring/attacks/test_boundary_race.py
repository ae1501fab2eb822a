import numpy as np
import pytest
import torch
from foolbox.attacks.ddn import DDNAttack
from foolbox.attacks.fast_minimum_norm import LInfFMNAttack
from torch import nn

from scoring.attacks.boundary_race import race_distance, smallest_change
from scoring.attacks.by_foolbox import foolbox_distance
from scoring.attacks.common import perturbation_norms
from scoring.attacks.efforts import EFFORTS
from scoring.attacks.norms import L2, LINF

NORMS = pytest.mark.parametrize("norm", [L2, LINF], ids=["l2", "linf"])


@NORMS
@pytest.mark.parametrize("effort", EFFORTS)
def test_every_point_is_in_the_box_and_in_another_class_even_alone(trained, norm, effort):
    net, images, classes = trained
    points, changed = smallest_change(net, images, classes, norm, effort)
    assert changed.all()
    assert points.min() >= 0
    assert points.max() <= 1
    alone = torch.cat([net(point.unsqueeze(0)) for point in points]).argmax(dim=1)
    assert (alone != classes).all()


@NORMS
def test_distances_are_the_norms_of_the_changes(trained, norm):
    net, images, classes = trained
    points, _ = smallest_change(net, images, classes, norm, "fast")
    moved = (points.double() - images.double()).flatten(1).numpy()
    want = np.linalg.norm(moved, norm.order, axis=1)
    got = race_distance(net, images, classes, norm, "fast")
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_the_race_beats_ddn_in_a_fraction_of_its_passes(trained, counted):
    net, images, classes = trained
    ddn = foolbox_distance(DDNAttack(steps=300), 2, net, images, classes)
    counter = counted(net)
    ours = race_distance(counter, images, classes, L2, "standard")
    assert ours.mean() < ddn.mean()
    assert np.quantile(ours / np.minimum(ours, ddn), 0.95) < 1.02
    assert sum(counter.backwards) < 55 * len(images)
    assert sum(counter.forwards) < 55 * len(images)


def test_the_race_beats_fmn_in_linf(trained, counted):
    net, images, classes = trained
    fmn = foolbox_distance(LInfFMNAttack(steps=50), np.inf, net, images, classes)
    counter = counted(net)
    ours = race_distance(counter, images, classes, LINF, "standard")
    assert ours.mean() < np.nanmean(fmn)
    assert sum(counter.backwards) < 55 * len(images)


@NORMS
def test_more_effort_finds_nearer_points(trained, norm):
    fast, standard, thorough = (race_distance(*trained, norm, effort) for effort in EFFORTS)
    assert thorough.mean() < standard.mean() < fast.mean()
    assert (thorough <= standard * (1 + 1e-5)).all()


@NORMS
def test_no_example_depends_on_its_batch(trained, norm):
    """Except for rounding, which differs with the batch size."""
    net, images, classes = trained
    whole = race_distance(net, images, classes, norm, "standard")
    alone = np.concatenate(
        [
            race_distance(net, images[i : i + 1], classes[i : i + 1], norm, "standard")
            for i in range(100)
        ]
    )
    apart = np.abs(alone / whole[:100] - 1)
    assert (apart < 1e-3).mean() >= 0.99
    assert apart.max() < 0.02
    again = race_distance(net, images, classes, norm, "standard")
    assert again.tobytes() == whole.tobytes()


def test_passes_go_to_classes_that_can_still_win(trained, counted):
    net, images, classes = trained
    counter = counted(net)
    smallest_change(counter, images, classes, L2, "standard")
    assert max(counter.forwards) <= len(images)
    assert max(counter.backwards) <= len(images)
    lanes = counter.forwards[1:]  # after the pass that lines up
    assert sum(lanes) < 55 * len(images) < 31 * EFFORTS["standard"].heats[0].classes * len(images)


def test_a_thousand_classes_cost_no_more(counted):
    torch.manual_seed(0)
    net = counted(nn.Sequential(nn.Flatten(), nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 1000)))
    net.eval().requires_grad_(False)
    images = torch.rand(20, 3, 4, 4)
    classes = net(images).argmax(dim=1)
    _, changed = smallest_change(net, images, classes, L2, "standard")
    assert changed.all()
    assert sum(net.backwards) < 60 * len(images)


def test_a_linear_net_takes_few_passes(counted):
    torch.manual_seed(0)
    net = counted(nn.Sequential(nn.Flatten(), nn.Linear(16, 2))).eval().requires_grad_(False)
    images = 0.5 + 0.02 * torch.randn(10, 1, 4, 4)
    smallest_change(net, images, net(images).argmax(dim=1), L2, "standard")
    assert sum(net.backwards) <= 7 * len(images)


def test_images_with_nothing_found_get_a_thorough_search(trained, monkeypatch):
    net, images, classes = trained
    tried = []

    def search(landscape, norm, effort):
        tried.append((len(landscape.images), effort))
        found = torch.arange(len(landscape.images)) % 3 > 0
        return landscape.as_images(landscape.images).clone(), found

    monkeypatch.setattr("scoring.attacks.boundary_race._search", search)
    _, changed = smallest_change(net, images[:9], classes[:9], L2, "fast")
    assert tried == [(9, EFFORTS["fast"]), (3, EFFORTS["thorough"])]
    assert changed.tolist() == [False, True, True] + 3 * [True] + [True, True, True]


@pytest.fixture
def wide():
    """A net with 32 channels, images, classes, and a list: was each forward pass in bfloat16?"""
    torch.manual_seed(0)
    coarse = []

    class Wide(nn.Sequential):
        def forward(self, images):
            coarse.append(torch.is_autocast_enabled("cpu"))
            return super().forward(images)

    convolution = nn.Conv2d(1, 32, 3, padding=1)
    net = Wide(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(2048, 10))
    net.eval().requires_grad_(False)
    images = torch.rand(40, 1, 8, 8)
    classes = net(images).argmax(dim=1)
    coarse.clear()
    return net, images, classes, coarse


@NORMS
def test_bfloat16_steers_and_float32_decides(wide, monkeypatch, norm):
    net, images, classes, coarse = wide
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    want = race_distance(net, images, classes, norm, "standard")
    assert not any(coarse)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    coarse.clear()
    points, changed = smallest_change(net, images, classes, norm, "standard")
    assert 0.2 < np.mean(coarse) < 1
    assert not coarse[-1]
    assert changed.all()
    alone = torch.cat([net(point.unsqueeze(0)) for point in points]).argmax(dim=1)
    assert (alone != classes).all()
    got = perturbation_norms(points, images, changed, norm.order)
    assert got.mean() == pytest.approx(want.mean(), rel=5e-3)
    assert np.quantile(got / want, 0.95) < 1.02


@NORMS
@pytest.mark.parametrize("effort", EFFORTS)
def test_leads_too_small_for_bfloat16_are_crossed(wide, monkeypatch, norm, effort):
    net, images, classes, _ = wide
    far, _ = smallest_change(net, images, classes, norm, "standard")
    for share in (0.9, 0.99, 0.999):
        near = images + share * (far - images)  # just short of the boundary
        still = net(near).argmax(dim=1) == classes
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
        points, changed = smallest_change(net, near[still], classes[still], norm, effort)
        assert still.sum() > 20
        assert changed.all()
        left = perturbation_norms(far[still], near[still], changed, norm.order)
        got = perturbation_norms(points, near[still], changed, norm.order)
        assert np.median(got / left) < 1.01
        assert (got < 1.5 * left + 1e-5).all()


def test_narrow_nets_stay_in_float32(trained, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    net, images, classes = trained
    seen = []
    hook = net.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    smallest_change(net, images[:10], classes[:10], L2, "fast")
    hook.remove()
    assert seen
    assert not any(seen)


def test_a_constant_net_has_no_adversarial_points():
    images = torch.rand(3, 1, 4, 4)
    for logits in (torch.tensor([[1.0, 0.0]]), torch.full((1, 2), torch.nan)):
        net = lambda x, logits=logits: logits.expand(len(x), -1) + 0 * x.flatten(1)[:, :1]  # noqa: E731
        points, changed = smallest_change(net, images, torch.zeros(3, dtype=int), L2, "fast")
        assert not changed.any()
        torch.testing.assert_close(points, images)
