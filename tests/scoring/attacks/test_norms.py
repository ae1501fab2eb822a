import pytest
import torch

from scoring.attacks.norms import L2, LINF, dot


def planes(rows=6, pixels=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(rows, pixels, generator=generator)
    normals = torch.randn(rows, pixels, generator=generator)
    return normals, -images, 1 - images


@pytest.mark.parametrize("norm", [L2, LINF])
@pytest.mark.parametrize(("offset", "short"), [(-1.0, 1e-3), (0.5, 1e-3), (4.0, 0.03)])
def test_the_nearest_point_is_on_the_plane_and_in_the_box(norm, offset, short):
    """The farthest plane clips half of the pixels, so one Newton step ends a little short of it."""
    normals, low, high = planes()
    u = norm.nearest(normals, torch.full((6,), offset), low, high)
    torch.testing.assert_close(dot(normals, u), torch.full((6,), offset), rtol=short, atol=1e-4)
    assert (u >= low).all()
    assert (u <= high).all()


@pytest.mark.parametrize("norm", [L2, LINF])
def test_no_other_point_of_the_plane_is_nearer(norm):
    """Compare with random points on the same plane and in the box, and with a wider box."""
    normals, low, high = planes()
    u = norm.nearest(normals, torch.full((6,), -3.0), low, high)
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        aside = torch.randn(u.shape, generator=generator)
        aside -= (dot(aside, normals) / dot(normals, normals)).unsqueeze(1) * normals
        other = u + 0.1 * torch.rand(6, 1, generator=generator) * aside
        inside = ((other >= low) & (other <= high)).all(dim=1)
        assert (norm.size(other)[inside] >= norm.size(u)[inside] - 1e-5).all()
    # A wider box leaves more to choose from.
    wider = norm.nearest(normals, torch.full((6,), -3.0), low * 10, high * 10)
    assert (norm.size(wider) <= norm.size(u) + 1e-5).all()


@pytest.mark.parametrize("norm", [L2, LINF])
def test_a_plane_out_of_reach_gives_a_point_in_the_box(norm):
    normals, low, high = planes()
    u = norm.nearest(normals, torch.full((6,), 1e6), low, high)
    assert (u >= low).all()
    assert (u <= high).all()
    assert (dot(normals, u) > 0).all()


def test_without_clipping_the_step_follows_the_direction_of_the_norm():
    normals, low, _ = planes()
    far = torch.full_like(low, 1e3)
    u = L2.nearest(normals, torch.ones(6), -far, far)
    torch.testing.assert_close(u, normals / dot(normals, normals).unsqueeze(1))
    u = LINF.nearest(normals, torch.ones(6), -far, far)
    torch.testing.assert_close(u, normals.sign() / normals.abs().sum(dim=1, keepdim=True))
