import contextlib
import struct
import subprocess
import sys
import warnings
import weakref
import zlib
from pathlib import Path

import numpy as np
import pytest
from image_files import encode, pixels
from PIL import Image

from scoring.data.images import (
    ImageShape,
    WrongShape,
    as_png,
    decode,
    file_suffix,
    parse_size,
    probe,
)
from scoring.errors import BadData

GREY = ImageShape(height=8, width=8, channels=1)
COLOUR = ImageShape(height=8, width=8, channels=3)
LOSSLESS = {"png": {}, "bmp": {}, "tiff": {}, "webp": {"lossless": True}, "gif": {}, "ppm": {}}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_colour_round_trips(kind):
    # A GIF holds 256 colours, enough for 64 pixels.
    image = pixels(0, channels=3)
    data = encode(image, kind, **LOSSLESS[kind])
    assert np.array_equal(decode(data, COLOUR), image)


@pytest.mark.parametrize("kind", [kind for kind in LOSSLESS if kind != "webp"])
def test_lossless_grey_round_trips(kind):
    image = pixels(1)
    if kind == "gif":  # always a palette
        assert np.array_equal(decode(encode(image, kind), COLOUR)[..., 0], image)
    else:
        assert np.array_equal(decode(encode(image, kind), GREY), image[..., None])


def test_jpeg_round_trips_approximately():
    ramp = np.tile(np.arange(0, 256, 32, dtype=np.uint8), (8, 1))
    assert np.abs(decode(encode(ramp, "jpeg"), GREY)[..., 0].astype(int) - ramp).max() < 8


def test_grey_in_a_colour_dataset_is_repeated():
    image = pixels(2)
    assert np.array_equal(decode(encode(image), COLOUR), np.repeat(image[..., None], 3, axis=2))


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", ["png", "tiff", "pgm"])
def test_sixteen_bits_keep_the_upper_eight(kind, shape):
    image = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000) + 77
    if kind == "pgm":
        data = b"P5 8 8 65535\n" + image.astype(">u2").tobytes()
    else:
        data = encode(image, kind)
    assert np.array_equal(decode(data, shape)[..., 0], image >> 8)


def test_numbers_of_unknown_range_are_refused():
    data = encode(Image.fromarray(pixels(0).astype(np.float32)), "tiff")
    with pytest.raises(WrongShape, match=r"expected 8 or 16 bits a channel, got mode F"):
        decode(data, GREY)


def test_palettes_are_decoded_and_transparency_is_dropped():
    image = pixels(3, channels=3)
    palette = Image.fromarray(image).quantize(64)
    assert palette.mode == "P"
    assert np.array_equal(decode(encode(palette), COLOUR), np.asarray(palette.convert("RGB")))
    rgba = np.dstack([image, pixels(4)])
    assert np.array_equal(decode(encode(rgba), COLOUR), image)
    grey_alpha = np.dstack([image[..., 0], pixels(4)])
    assert np.array_equal(decode(encode(grey_alpha), GREY)[..., 0], image[..., 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns about palettes with transparency
        data = encode(palette, transparency=bytes(range(64)))
        assert np.array_equal(decode(data, COLOUR), np.asarray(palette.convert("RGB")))


WHOLE = encode(pixels(5))
BROKEN = {
    "null": None,
    "empty": b"",
    "text": b"this is not an image",
    "text with a PNG's first bytes": WHOLE[:8] + b"text",
    "cut short": WHOLE[: len(WHOLE) // 2],
    "cut in its header": WHOLE[:20],
    "a flipped byte": WHOLE[:45] + bytes([WHOLE[45] ^ 0xFF]) + WHOLE[46:],
    "a JPEG cut short": encode(pixels(6, 64, 64), "jpeg")[:500],
    "a size beyond any memory": WHOLE[:16] + b"\x7f\xff\xff\xff" * 2 + WHOLE[24:],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_decode_to_none(name):
    assert decode(BROKEN[name], GREY) is None


def test_damaged_files_never_raise():
    """Damaged bytes can make Pillow raise anything; it must never cost more than the one row."""
    random = np.random.default_rng(0)
    seeds = [encode(pixels(7), kind) for kind in ("png", "tiff", "bmp", "jpeg", "webp", "gif")]
    for data in seeds * 30:
        damaged = bytearray(data)
        for position in random.integers(0, len(data), 4):
            damaged[position] = random.integers(256)
        with contextlib.suppress(WrongShape):
            decode(bytes(damaged), ImageShape(height=8, width=8, channels=3, resize=True))


def test_other_sizes_are_refused_or_resized():
    data = encode(pixels(8, 9, 12))
    with pytest.raises(
        WrongShape, match=r"expected images of 8x8 .* got one of 9x12; .*image-size"
    ):
        decode(data, GREY)
    resized = decode(data, ImageShape(height=8, width=8, channels=1, resize=True))
    assert resized.shape == (8, 8, 1)


@pytest.mark.parametrize(("height", "width"), [(16, 32), (32, 16), (16, 16), (4, 8), (1, 100)])
def test_resizing_keeps_the_centre_and_the_aspect(height, width):
    """Neither axis is stretched or shifted."""
    y, x = np.mgrid[:height, :width]
    ramp = np.dstack(
        [y * 255 // max(1, height - 1), x * 255 // max(1, width - 1), np.zeros_like(x)]
    )
    shape = ImageShape(height=8, width=8, channels=3, resize=True)
    got = decode(encode(ramp.astype(np.uint8)), shape).astype(float)
    for axis, size, other in ((0, height, width), (1, width, height)):
        values = got[..., axis].mean(axis=1 - axis)
        kept = min(size, other) / size  # share of this axis that the crop keeps
        if size > 1:
            assert values.mean() == pytest.approx(127.5, abs=3)
            # The centres of the two outer pixels are 7/8 of the kept part apart.
            assert values[-1] - values[0] == pytest.approx(255 * kept * 7 / 8, abs=255 / size + 8)


def test_colour_in_a_grey_dataset_is_refused_or_converted():
    data = encode(np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8))
    with pytest.raises(
        WrongShape, match=r"expected grey images .* got mode RGB; pass --channels 1"
    ):
        decode(data, GREY)
    grey = decode(data, ImageShape(height=8, width=8, channels=1, to_grey=True))
    assert np.unique(grey).tolist() == [76]  # ITU-R 601 luma of red


def test_probe_finds_size_and_channels():
    grey, colour, text = encode(pixels(0, 4, 6)), encode(pixels(0, 8, 8, 3)), b"text"
    assert probe([text, None, grey], size="auto", channels="auto").dims == (4, 6, 1)
    assert probe([grey, text, colour], size="auto", channels="auto").dims == (4, 6, 3)
    assert probe([colour], size="auto", channels="1").to_grey
    wide = probe([grey], size="5x7", channels="3")
    assert (wide.dims, wide.resize, wide.nbytes) == ((5, 7, 3), True, 105)
    deep = encode(pixels(1).astype(np.uint16) << 8)
    assert probe([deep], size="auto", channels="auto").channels == 1


def test_probe_needs_one_readable_image():
    with pytest.raises(BadData, match=r"expected images that Pillow can read, got none"):
        probe([None, b"", b"text"], size="auto", channels="auto")


def test_probe_holds_one_decoded_image_at_a_time(monkeypatch):
    opened, most = [], 0
    original_open = Image.open

    def remember(file, **options):
        image = original_open(file, **options)
        opened.append(weakref.ref(image))
        return image

    def images():
        nonlocal most
        for seed in range(10):
            yield encode(pixels(seed))
            most = max(most, sum(image() is not None for image in opened))

    monkeypatch.setattr(Image, "open", remember)
    assert probe(images(), size="auto", channels="auto").channels == 1
    assert 1 <= most <= 2


def test_sizes_are_parsed():
    assert parse_size("64") == (64, 64)
    assert parse_size("64x48") == (64, 48)
    assert parse_size("64X48") == (64, 48)


@pytest.mark.parametrize("text", ["", "x", "0", "-8", "8x", "8x8x8", "8.5", "big", "²", "8 x 8"])
def test_malformed_sizes_are_refused(text):
    with pytest.raises(BadData, match=r"--image-size: expected HxW in pixels, got"):
        parse_size(text)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_round_trip_through_png(channels):
    image = pixels(2, channels=channels).reshape(8, 8, channels)
    shape = GREY if channels == 1 else COLOUR
    assert file_suffix(as_png(image)) == ".png"
    assert np.array_equal(decode(as_png(image), shape), image)


def test_the_suffix_follows_the_content():
    for kind in ("png", "jpeg", "webp", "gif", "bmp", "tiff"):
        assert file_suffix(encode(pixels(3), kind)) == f".{kind}"
    assert file_suffix(encode(pixels(3), "jpeg")[:-20]) == ".jpeg"  # cut short
    assert file_suffix(b"no image") == file_suffix(b"") == ""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def black_png(side):
    """Encode a black colour image of side x side, without ever holding it."""
    packer, row = zlib.compressobj(), bytes(1 + 3 * side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return WHOLE[:8] + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_an_image_of_too_many_pixels_is_undecodable_and_costs_no_memory():
    """170 million pixels in half a megabyte: Pillow alone would decode it to half a gigabyte."""
    code = (
        "import resource, sys; from scoring.data.images import ImageShape, decode, probe; "
        "shape = ImageShape(height=8, width=8, channels=3, resize=True); "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "assert decode(sys.stdin.buffer.read(), shape) is None; "
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=black_png(13_000), capture_output=True, check=True)
    assert int(done.stdout) < 50  # MB


def test_the_bound_is_that_of_the_shape():
    data = encode(pixels(9, 10, 10))
    for most, readable in ((100, True), (99, False)):
        shape = ImageShape(height=8, width=8, channels=1, resize=True, max_pixels=most)
        assert (decode(data, shape) is not None) == readable
    small = encode(pixels(9, 4, 4))
    assert probe([data, small], size="auto", channels="auto", max_pixels=99).dims == (4, 4, 1)
    with pytest.raises(BadData, match="expected images that Pillow can read"):
        probe([data], size="auto", channels="auto", max_pixels=99)


@pytest.mark.parametrize("kind", ["eps", "pcx", "sgi", "tga", "ico", "dds"])
def test_other_formats_are_not_opened(kind, monkeypatch):
    """An EPS file is a program: Pillow would start Ghostscript to run it."""
    monkeypatch.setattr("PIL.EpsImagePlugin.has_ghostscript", lambda: pytest.fail("looked for gs"))
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("ran a program"))
    data = encode(pixels(1, 16, 16, 3), kind)
    assert decode(data, ImageShape(height=16, width=16, channels=3)) is None
    assert file_suffix(data) == ""


@pytest.mark.parametrize("kind", ["avif", "jpeg2000", "mpo"])
def test_formats_with_loss_are_opened(kind):
    image = Image.fromarray(np.full((8, 8, 3), 200, dtype=np.uint8))
    more = {"save_all": True, "append_images": [image]} if kind == "mpo" else {}
    assert decode(encode(image, kind, **more), COLOUR).mean() == pytest.approx(200, abs=5)


def test_text_in_a_png_is_bounded():
    """A gigabyte of text in a megabyte: the image is undecodable, and the memory stays free."""
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)) + packer.flush()
    bomb = WHOLE[:33] + chunk(b"zTXt", b"Comment\0\0" + packed) + WHOLE[33:]
    assert decode(bomb, GREY) is None
    little = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a word"))
    assert decode(WHOLE[:33] + little + WHOLE[33:], GREY) is not None


def test_images_are_opened_in_one_place():
    root = Path(__file__).parents[3]
    sources = [path for room in ("scoring", "ray_jobs") for path in (root / room).rglob("*.py")]
    assert [p.name for p in sources if "Image.open(" in p.read_text()] == ["images.py"]
