import io

import numpy as np
import pytest
from PIL import Image

from scoring.data.images import ImageShape
from scoring.report.thumbnails import EXACT, Encoding, choose_encoding, choose_packing


def decode(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGB"))


def shape(side: int, channels: int, width: int | None = None) -> ImageShape:
    return ImageShape(height=side, width=width or side, channels=channels)


@pytest.mark.parametrize(
    ("images", "side", "channels", "lossless", "longest"),
    [
        (100_000, 28, 1, True, 64),
        (60_000, 32, 3, False, 192),  # full size, but lossy
        (5_000, 224, 3, False, 192),
        (100_000, 64, 3, False, 48),
        (10_000_000, 64, 3, False, 32),
    ],
)
def test_more_images_are_shown_smaller(images, side, channels, lossless, longest):
    encoding = choose_encoding(images, shape(side, channels))
    assert (encoding.lossless, encoding.side) == (lossless, longest)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_are_kept_bit_for_bit_in_their_cells(channels):
    random = np.random.default_rng(0)
    packing = choose_packing(100, shape(28, channels, width=20))
    assert packing.encoding == EXACT
    images = list(random.integers(0, 256, (packing.rows + 5, 28, 20, channels), dtype=np.uint8))
    images[3] = None
    packs = [decode(pack) for pack in packing.packs(images)]
    assert [len(pack) // 28 for pack in packs] == [packing.columns, 1]
    assert packs[1].shape[1] == 5 * 20  # no wider than needed
    for number, image in enumerate(images):
        pack, place = divmod(number, packing.rows)
        row, column = divmod(place, packing.columns)
        shown = packs[pack][28 * row : 28 * row + 28, 20 * column : 20 * column + 20]
        np.testing.assert_array_equal(
            shown, 128 if image is None else np.broadcast_to(image, shown.shape)
        )


def test_packs_are_small_whatever_they_hold():
    for images, side, channels in ((100_000, 28, 1), (100_000, 64, 3), (1_000, 224, 3), (10, 2, 1)):
        packing = choose_packing(images, shape(side, channels))
        assert packing.rows == packing.columns**2 >= 1
        expected = packing.rows * packing.encoding.bytes_of(shape(side, channels))
        assert packing.rows in {1, 256} or 10_000 < expected <= 32_000


def test_large_images_shrink_and_keep_their_proportions():
    packing = choose_packing(3_000, shape(500, 3, width=250))
    described = packing.describe()
    assert (described["width"], described["height"]) == (96, 192)
    (pack,) = packing.packs([np.full((500, 250, 3), 90, dtype=np.uint8)])
    image = decode(pack)
    assert image.shape == (192, 96, 3)
    assert np.abs(image.astype(int) - 90).max() <= 3  # lossy, but the same grey


def test_lossy_images_do_not_bleed_into_each_other():
    packing = choose_packing(10**7, shape(40, 3, width=50))
    described = packing.describe()
    assert (described["width"], described["height"]) == (32, 26)
    assert described["across"] % 16 == described["down"] % 16 == 0
    black, white = (np.full((40, 50, 3), value, dtype=np.uint8) for value in (0, 255))
    (pack,) = packing.packs([black, white])
    assert decode(pack)[:26, :32].max() <= 3


def test_an_encoding_estimates_its_size():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoding = Encoding(side=32, lossless=True)
    assert decode(encoding.encode(encoding.shrink(pixels))).shape == (32, 32, 3)
    assert encoding.bytes_of(shape(64, 3)) == pytest.approx(0.57 * 32 * 32 * 3)
