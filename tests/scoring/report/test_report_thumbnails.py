import io

import numpy as np
import pytest
from PIL import Image

from scoring.data.images import ImageShape
from scoring.report import take_snapshot, thumbnails
from scoring.report.thumbnails import Encoding, choose_encoding, encode, read_thumbnails


def decode(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_are_kept_to_the_bit(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, channels), dtype=np.uint8)
    encoding = choose_encoding(3200, ImageShape(height=8, width=8, channels=channels))
    np.testing.assert_array_equal(
        decode(encode(pixels, encoding)), np.broadcast_to(pixels, (8, 8, 3))
    )


def test_large_images_shrink_and_keep_their_proportions():
    pixels = np.full((224, 112, 3), 90, dtype=np.uint8)
    image = decode(encode(pixels, Encoding(side=64, lossless=False)))
    assert image.shape == (64, 32, 3)
    assert np.abs(image.astype(int) - 90).max() <= 3  # lossy, but the same grey


@pytest.mark.parametrize(
    ("images", "side", "channels", "lossless", "longest"),
    [
        (3200, 28, 1, True, 64),
        (3200, 32, 3, False, 64),
        (1000, 224, 3, False, 64),
        (32_000, 64, 3, False, 40),
    ],
)
def test_the_more_there_is_to_show_the_smaller_it_gets(images, side, channels, lossless, longest):
    encoding = choose_encoding(images, ImageShape(height=side, width=side, channels=channels))
    assert (encoding.lossless, encoding.side) == (lossless, longest)


def test_only_shards_with_a_wanted_image_are_read(store, examples, monkeypatch):
    snapshot = take_snapshot(store)
    source = ("test", snapshot.current("test").version)
    read = []
    real = thumbnails.read_images

    def recorded(storage, dataset, record, shape, ids):
        read.append(record.first_id)
        return real(storage, dataset, record, shape, ids)

    monkeypatch.setattr(thumbnails, "read_images", recorded)
    found = read_thumbnails(snapshot, {source: np.array([91, 114, 150])})  # test ids begin at 90
    assert read == [90, 140]
    assert set(found) == {(source, 91), (source, 114), (source, 150)}
    for (_, example_id), data in found.items():
        want = np.broadcast_to(examples["test"].images[example_id - 90], (8, 8, 3))
        np.testing.assert_array_equal(decode(data), want)
