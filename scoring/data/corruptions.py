"""The fifteen corruptions of MNIST-C, for grey images of any size.

Mu & Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", ICML 2019 workshop on
uncertainty and robustness, arXiv:1906.02337, section 3 and appendix. Each corruption comes at the
single severity that the authors chose, at which people can still read every digit. The operations
are scikit-image's. Lengths that the authors give for 28-pixel images are used unscaled.

We differ: motion blur convolves with ImageMagick's kernel but does not round between passes; fog
is generated on the smallest power of two that covers the image, not always on 256 pixels; we draw
our own random numbers, so images match the authors' in distribution, not pixel by pixel.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import shift
from skimage.feature import canny
from skimage.filters import gaussian
from skimage.transform import AffineTransform, warp
from skimage.util import random_noise

Plane = npt.NDArray[np.float64]
"""[H, W] in [0, 1]."""
Corruption = Callable[[Plane, np.random.Generator], Plane]
_REACH = 2.3  # pixels from the middle of a drawn line to where it has faded out


def shot_noise(image: Plane, rng: np.random.Generator) -> Plane:
    """Photon counting noise, with three photons for white."""
    return rng.poisson(3 * image) / 3


def impulse_noise(image: Plane, rng: np.random.Generator) -> Plane:
    """Salt and pepper on 17 % of the pixels."""
    noisy: Plane = random_noise(image, mode="s&p", amount=0.17, rng=rng)
    return noisy


def glass_blur(image: Plane, rng: np.random.Generator) -> Plane:
    """Swap pixels with neighbours, in two passes, between two Gaussian blurs of 0.7 pixels."""
    blurred = np.floor(255 * gaussian(image, sigma=0.7)) / 255
    height, width = image.shape
    for _ in range(2):
        swaps = rng.random((height, width)) < 0.5
        moves = rng.integers(-1, 1, (height, width, 2))
        for row in range(height - 1, 1, -1):
            for column in range(width - 1, 1, -1):
                if swaps[row, column]:
                    here, there = (row, column), tuple((row, column) + moves[row, column])
                    blurred[here], blurred[there] = blurred[there], blurred[here]
    smooth: Plane = gaussian(blurred, sigma=0.7)
    return smooth


def motion_blur(image: Plane, rng: np.random.Generator) -> Plane:
    """Smear along a direction within 45 degrees of the rows, by half a Gaussian of 3 pixels."""
    angle = np.deg2rad(rng.uniform(-45, 45))
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / (2 * 3**2))
    smeared = sum(
        weight * _shifted(image, np.round(step * np.sin(angle)), np.round(step * np.cos(angle)))
        for step, weight in zip(steps, weights / weights.sum(), strict=True)
    )
    return np.asarray(smeared)


def shear(image: Plane, rng: np.random.Generator) -> Plane:
    """Shear by 0.4 radians to either side."""
    return _warped_around_centre(image, AffineTransform(shear=0.4 * rng.choice([-1, 1])))


def scale(image: Plane, rng: np.random.Generator) -> Plane:
    """Shrink to 0.7 of the size."""
    return _warped_around_centre(image, AffineTransform(scale=(1 / 0.7, 1 / 0.7)))


def rotate(image: Plane, rng: np.random.Generator) -> Plane:
    """Rotate by 0.4 radians to either side."""
    return _warped_around_centre(image, AffineTransform(rotation=0.4 * rng.choice([-1, 1])))


def brightness(image: Plane, rng: np.random.Generator) -> Plane:
    """Brighten every pixel by 0.5."""
    return image + 0.5


def translate(image: Plane, rng: np.random.Generator) -> Plane:
    """Move by 3 pixels along both axes."""
    moved: Plane = warp(image, AffineTransform(translation=3 * rng.choice([-1, 1], 2)))
    return moved


def stripe(image: Plane, rng: np.random.Generator) -> Plane:
    """Invert the leftmost and the rightmost quarter of the columns."""
    quarter = image.shape[1] // 4
    striped = 1 - image
    striped[:, quarter : 3 * quarter] = image[:, quarter : 3 * quarter]
    return striped


def fog(image: Plane, rng: np.random.Generator) -> Plane:
    """Add a plasma fractal three times as bright as the image."""
    side = 1 << (max(image.shape) - 1).bit_length()
    haze = _plasma(side, 1.4, rng)[: image.shape[0], : image.shape[1]]
    brightest = float(image.max())
    return (image + 3 * haze) * brightest / (brightest + 3)


def spatter(image: Plane, rng: np.random.Generator) -> Plane:
    """Add spots of dark grey mud."""
    liquid = gaussian(rng.normal(0.65, 0.3, image.shape), sigma=1)
    mud: Plane = gaussian((liquid > 0.65).astype(np.float64), sigma=1.5)
    mud[mud < 0.8] = 0
    return image * (1 - mud) + 63 / 255 * mud


def dotted_line(image: Plane, rng: np.random.Generator) -> Plane:
    """Draw a line from side to side, with two columns on and two off."""
    height, width = image.shape
    left, right = rng.integers(0, height - 1, 2)
    line = _line(image.shape, (0, left), (width - 1, right))
    line[:, np.arange(width) // 2 % 2 == 0] = 0
    return image + line


def zigzag(image: Plane, rng: np.random.Generator) -> Plane:
    """Draw a zigzag from side to side, with teeth 4 pixels long and 4 pixels high."""
    height, width = image.shape
    start, end = 2.0, width - 3.0
    first = rng.integers(0, height - 1)
    angle = np.arctan(rng.integers(-5, 5) / (end - start))
    length = (end - start) / np.cos(angle)
    teeth = np.arange(int((length - 2) // 4) + 1)
    along = np.concatenate([[0], 4 * teeth + 2, [length]])
    across = np.concatenate([[0], 2 * (-1.0) ** teeth, [0]])
    columns = start + np.cos(angle) * along - np.sin(angle) * across
    rows = first + np.sin(angle) * along + np.cos(angle) * across
    drawn = image.copy()
    for i in range(len(along) - 1):
        line = _line(image.shape, (columns[i], rows[i]), (columns[i + 1], rows[i + 1]))
        drawn = np.clip(drawn + line, 0, 1)
    return drawn


def canny_edges(image: Plane, rng: np.random.Generator) -> Plane:
    """Keep only the edges."""
    edges: Plane = canny(image).astype(np.float64)
    return edges


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}
"""Corruptions by the authors' names, in the authors' order."""


def corrupt(
    image: npt.NDArray[np.uint8], name: str, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Corrupt one image.

    Args:
        image: [H, W, D] uint8; every channel is corrupted in the same way.
        name: one of `CORRUPTIONS`.
        rng: the only source of randomness.

    Returns:
        [H, W, D] uint8.
    """
    seed = rng.integers(1 << 63)
    planes = [
        CORRUPTIONS[name](plane / 255, np.random.default_rng(seed))
        for plane in np.moveaxis(image, 2, 0)
    ]
    # Truncate to integers, as the authors' files do.
    return (np.clip(np.stack(planes, axis=2), 0, 1) * 255).astype(np.uint8)


def _shifted(image: Plane, down: float, right: float) -> Plane:
    shifted: Plane = shift(image, (-down, -right), order=0, mode="nearest")
    return shifted


def _warped_around_centre(image: Plane, transform: AffineTransform) -> Plane:
    """Warp the image by a transform, keeping its centre in place."""
    middle = (np.array(image.shape[::-1]) - 1) / 2
    there, back = AffineTransform(translation=-middle), AffineTransform(translation=middle)
    warped: Plane = warp(image, there + transform + back)
    return warped


def _line(shape: tuple[int, ...], start: tuple[float, float], end: tuple[float, float]) -> Plane:
    """Draw a soft line between two (column, row) points, brightest in its middle, [H, W]."""
    (first, row), (last, last_row) = start, end
    if first == last:
        return np.zeros(shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    middle = row + (last_row - row) / (last - first) * (columns - first)
    distance = np.minimum(np.abs(rows - middle), _REACH - 1e-10)
    line: Plane = np.clip(np.log(1 - distance / _REACH) + 1, 0, 1)
    line[(columns < np.floor(first)) | (columns >= np.ceil(last))] = 0
    return line


def _plasma(side: int, decay: float, rng: np.random.Generator) -> Plane:
    """Return a plasma fractal by the diamond-square algorithm, [side, side] in [0, 1]."""
    heights = np.zeros((side, side))
    step, wibble = side, 100.0

    def jittered_mean(sums: Plane) -> Plane:
        """Mean of four neighbours, given their sum, plus noise of the current step."""
        return sums / 4 + wibble * rng.uniform(-wibble, wibble, sums.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        columns = corners + np.roll(corners, -1, axis=0)
        heights[half::step, half::step] = jittered_mean(columns + np.roll(columns, -1, axis=1))
        middles, corners = heights[half::step, half::step], heights[::step, ::step]
        above = middles + np.roll(middles, 1, axis=0)
        rows = above + corners + np.roll(corners, -1, axis=1)
        heights[::step, half::step] = jittered_mean(rows)
        left = middles + np.roll(middles, 1, axis=1)
        columns = left + corners + np.roll(corners, -1, axis=0)
        heights[half::step, ::step] = jittered_mean(columns)
        step, wibble = half, wibble / decay
    heights -= heights.min()
    scaled: Plane = heights / heights.max()
    return scaled
