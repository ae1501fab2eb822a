import pytest
import torch
from foolbox.attacks.ddn import DDNAttack
from foolbox.criteria import Misclassification, TargetedMisclassification
from foolbox.models.pytorch import PyTorchModel
from torch import nn

from scoring.attacks.boundary_race import smallest_change
from scoring.attacks.by_foolbox import BoundaryRace
from scoring.attacks.norms import L2


def test_our_race_works_as_a_foolbox_attack(trained):
    net, images, classes = trained
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    _, points, success = BoundaryRace()(model, images, classes, epsilons=None)
    assert success.all()
    torch.testing.assert_close(points, smallest_change(net, images, classes, L2, "standard")[0])
    _, theirs, _ = DDNAttack()(model, images, classes, epsilons=None)
    assert (points - images).norm() < (theirs - images).norm()


def test_images_may_have_other_bounds(trained):
    net, images, classes = trained

    class Shifted(nn.Module):
        def forward(self, images):
            return net((images + 1) / 2)

    model = PyTorchModel(Shifted().eval(), bounds=(-1, 1), device="cpu")
    moved = 2 * images - 1
    _, points, success = BoundaryRace(effort="fast")(model, moved, classes, epsilons=None)
    assert success.all()
    assert points.min() >= -1
    want = smallest_change(net, images, classes, L2, "fast")[0]
    torch.testing.assert_close(
        (points - moved).flatten(1).norm(dim=1),
        2 * (want - images).flatten(1).norm(dim=1),
        rtol=0.02,
        atol=1e-4,
    )


def test_misclassified_images_stay_as_they_are(trained):
    net, images, classes = trained
    labels = classes.clone()
    labels[::2] = (labels[::2] + 1) % 10
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    _, points, success = BoundaryRace(effort="fast")(
        model, images, Misclassification(labels), epsilons=None
    )
    assert success.all()
    assert torch.equal(points[::2], images[::2])
    assert (points[1::2] != images[1::2]).flatten(1).any(dim=1).all()


def test_a_targeted_criterion_is_refused(trained):
    net, images, classes = trained
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    with pytest.raises(ValueError, match="expected the criterion Misclassification"):
        BoundaryRace()(model, images, TargetedMisclassification(classes), epsilons=None)
