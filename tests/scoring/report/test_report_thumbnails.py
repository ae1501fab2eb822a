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
        (60_000, 32, 3, False, 192),  # as they are, but not to the bit
        (5_000, 224, 3, False, 192),
        (100_000, 64, 3, False, 48),
        (10_000_000, 64, 3, False, 32),
    ],
)
def test_the_more_there_is_to_show_the_smaller_it_gets(images, side, channels, lossless, longest):
    encoding = choose_encoding(images, shape(side, channels))
    assert (encoding.lossless, encoding.side) == (lossless, longest)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_are_kept_to_the_bit_each_in_its_place(channels):
    random = np.random.default_rng(0)
    packing = choose_packing(100, shape(28, channels, width=20))
    assert packing.encoding == EXACT
    images = list(random.integers(0, 256, (packing.rows + 5, 28, 20, channels), dtype=np.uint8))
    images[3] = None
    packs = [decode(pack) for pack in packing.packs(images)]
    assert [len(pack) // 28 for pack in packs] == [packing.columns, 1]
    assert packs[1].shape[1] == 5 * 20  # no wider than it must be
    for number, image in enumerate(images):
        pack, place = divmod(number, packing.rows)
        row, column = divmod(place, packing.columns)
        shown = packs[pack][28 * row : 28 * row + 28, 20 * column : 20 * column + 20]
        np.testing.assert_array_equal(
            shown, 128 if image is None else np.broadcast_to(image, shown.shape)
        )


def test_a_pack_is_small_whatever_it_holds():
    for images, side, channels in ((100_000, 28, 1), (100_000, 64, 3), (1_000, 224, 3), (10, 2, 1)):
        packing = choose_packing(images, shape(side, channels))
        assert packing.rows == packing.columns**2 >= 1
        expected = packing.rows * packing.encoding.bytes_of(shape(side, channels))
        assert packing.rows in {1, 256} or 10_000 < expected <= 32_000


def test_large_images_shrink_and_keep_their_proportions():
    packing = choose_packing(3_000, shape(500, 3, width=250))
    about = packing.about()
    assert (about["width"], about["height"]) == (96, 192)
    (pack,) = packing.packs([np.full((500, 250, 3), 90, dtype=np.uint8)])
    image = decode(pack)
    assert image.shape == (192, 96, 3)
    assert np.abs(image.astype(int) - 90).max() <= 3  # lossy, but the same grey


def test_lossy_images_do_not_bleed_into_each_other():
    packing = choose_packing(10**7, shape(40, 3, width=50))
    about = packing.about()
    assert (about["width"], about["height"]) == (32, 26)
    assert about["across"] % 16 == about["down"] % 16 == 0
    black, white = (np.full((40, 50, 3), value, dtype=np.uint8) for value in (0, 255))
    (pack,) = packing.packs([black, white])
    assert decode(pack)[:26, :32].max() <= 3


def test_an_encoding_knows_what_it_takes():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoding = Encoding(side=32, lossless=True)
    assert decode(encoding.encode(encoding.shrunk(pixels))).shape == (32, 32, 3)
    assert encoding.bytes_of(shape(64, 3)) == pytest.approx(0.57 * 32 * 32 * 3)
