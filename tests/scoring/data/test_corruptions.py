import numpy as np
import pytest

from scoring.data.corruptions import CORRUPTIONS, corrupt
from scoring.data.named import NamedSource

RANDOM = {"shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "rotate"} | {
    "translate",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
}


def five(side=28):
    image = np.zeros((side, side, 1), dtype=np.uint8)
    image[side // 4 : 3 * side // 4, side // 3 : side // 2] = 200
    image[side // 2 : side // 2 + 2, side // 4 : 3 * side // 4] = 255
    return image


def rng(seed=0):
    return np.random.default_rng(seed)


def test_there_are_fifteen_corruptions():
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (20, 33, 1)], ids=str)
def test_any_image_is_changed_but_keeps_its_shape(name, shape):
    image = rng(1).integers(0, 256, shape, dtype=np.uint8)
    result = corrupt(image, name, rng())
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert (result != image).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_generator_is_the_only_source_of_randomness(name):
    first, again, *others = (corrupt(five(), name, rng(seed)) for seed in (0, 0, 1, 2, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert any((first != other).any() for other in others) == (name in RANDOM)


def test_all_channels_are_corrupted_in_the_same_way():
    colour = np.repeat(five(), 3, axis=2)
    for name in CORRUPTIONS:
        result = corrupt(colour, name, rng())
        assert (result == result[..., :1]).all()


def test_effects_on_an_image_of_known_pixels():
    image = five()
    bright = corrupt(image, "brightness", rng())
    np.testing.assert_array_equal(bright, (np.minimum(image / 255 + 0.5, 1) * 255).astype(np.uint8))
    striped = corrupt(image, "stripe", rng())
    np.testing.assert_array_equal(striped[:, 7:21], image[:, 7:21])
    np.testing.assert_array_equal(striped[:, :7], 255 - image[:, :7])
    noisy = corrupt(np.full((200, 200, 1), 128, np.uint8), "impulse_noise", rng())
    assert np.isin(noisy, [0, 255]).mean() == pytest.approx(0.17, abs=0.01)
    shot = corrupt(np.full((200, 200, 1), 153, np.uint8), "shot_noise", rng())
    # Poisson of mean 3 x 0.6, over 3, cut at 1: mean 0.5447.
    assert shot.mean() / 255 == pytest.approx(0.5447, abs=0.01)
    moved = corrupt(image, "translate", rng())
    assert any(
        (moved == np.roll(image, (down, right), axis=(0, 1))).all()
        for down in (-3, 3)
        for right in (-3, 3)
    )
    edges = corrupt(image, "canny_edges", rng())
    assert set(np.unique(edges)) == {0, 255}


def test_a_shrunken_image_keeps_half_the_ink():
    image = five()
    small = corrupt(image, "scale", rng())
    assert small.sum() / image.sum() == pytest.approx(0.49, abs=0.05)
    for name in ("shear", "rotate", "motion_blur"):
        assert corrupt(image, name, rng()).sum() / image.sum() == pytest.approx(1, abs=0.1)


def test_fog_lowers_contrast_and_lines_add_ink():
    image = five()
    fog = corrupt(image, "fog", rng()).astype(int)
    assert fog.std() < image.std()
    assert fog[image > 0].mean() > fog[image == 0].mean()
    for name in ("dotted_line", "zigzag"):
        drawn = corrupt(image, name, rng())
        assert (drawn >= image).all()
        assert 0.02 < (drawn > image).mean() < 0.3


def test_a_black_image_can_be_corrupted():
    for name in CORRUPTIONS:
        assert corrupt(np.zeros((28, 28, 1), np.uint8), name, rng()).shape == (28, 28, 1)


def test_corrupted_digits_still_resemble_their_class():
    """The nearest clean digit has the right class distance more often than by chance."""
    source = NamedSource(name="digits")
    piece = source.pieces("train")[0]
    rows = source.read("train", piece)
    clean, labels = rows.pixels[:600].reshape(600, -1).astype(float), np.array(rows.labels[:600])
    for name in ("shot_noise", "brightness", "dotted_line", "scale"):
        result = np.stack(
            [corrupt(image, name, rng(i)) for i, image in enumerate(rows.pixels[:40])]
        )
        distance = ((result.reshape(40, 1, -1) - clean[None, 40:]) ** 2).sum(axis=2)
        assert (labels[40:][distance.argmin(axis=1)] == labels[:40]).mean() > 0.3
