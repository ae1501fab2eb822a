import numpy as np
import torch

from scoring.analysis import plane_vog


def by_part(findings):
    return {(f.part, f.measure): f.value for f in findings}


def test_vog_is_higher_near_the_boundary():
    result = plane_vog.experiment(0)
    found = by_part(plane_vog.findings({0: result}))
    assert found["seed 0", "accuracy"] > 0.9
    assert found["seed 0", "spearman"] < -0.5
    assert found["seed 0", "vog_near"] > 2 * found["seed 0", "vog_far"]
    assert found["all", "spearman"] == found["seed 0", "spearman"]
    np.testing.assert_array_equal(plane_vog.experiment(0).vog, result.vog)


def test_distance_is_that_to_the_boundary():
    """A net that looks at x alone has a vertical line as its boundary."""

    class Half(torch.nn.Module):
        def forward(self, images):
            x = images.flatten(1)[:, 0]
            return torch.stack([0.5 - x, x - 0.5], dim=1)

    points = np.random.default_rng(0).random((100, 2))
    distance = plane_vog._distance(Half(), points)
    np.testing.assert_allclose(distance, np.abs(points[:, 0] - 0.5), atol=3e-3)
