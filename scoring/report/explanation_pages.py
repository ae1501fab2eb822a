"""A page that breaks predictions down into shares of training examples."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap

from scoring.arrays import Floats
from scoring.data.images import Pixels
from scoring.report.drawing import OUTLYING, PROTOTYPICAL
from scoring.report.templates import STATIC, templates
from scoring.report.thumbnails import MEDIA_TYPE, Encoding

_SHADES = LinearSegmentedColormap.from_list("shades", [OUTLYING, "#ffffff", PROTOTYPICAL])
_ENCODING = Encoding(side=96, lossless=True)

Content = Pixels | str
"""An image [H, W, D] uint8, or a text."""


@dataclass(frozen=True, kw_only=True)
class ShownPoint:
    """A training example and its share of an output."""

    train_id: int
    label: str
    content: Content | None
    """None if it cannot be read, or is not to be shown."""
    sensitivity: Floats | None
    """[H, W] signed, summed over channels: how each pixel of the test image changes the share."""
    value: float
    alpha: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class ShownExample:
    """One output of a test example and its strongest training examples."""

    test_id: int
    name: str
    label: str
    predicted: str
    output: str
    content: Content | None
    excitatory: Sequence[ShownPoint]
    inhibitory: Sequence[ShownPoint]

    @property
    def largest(self) -> float:
        """Largest absolute value in the maps, which share one colour scale."""
        points = (*self.excitatory, *self.inhibitory)
        maps = (p.sensitivity for p in points if p.sensitivity is not None)
        return max((float(np.abs(map_).max()) for map_ in maps), default=0.0)


def render_explanations(
    title: str,
    layer: str,
    examples: Sequence[ShownExample],
    *,
    split: str = "test",
    report: str = "",
) -> str:
    """Render one self-contained HTML file.

    Args:
        title: dataset and split.
        layer: one line that describes the explained layer.
        examples: the examples, in the order to show them.
        split: the split that they are of.
        report: address of a report's folder, relative to the page, to link examples to; "": none.
    """
    environment = templates()
    environment.filters |= {"picture": _picture, "map": _map, "number": lambda v: f"{v:.3g}"}
    return environment.get_template("explanations.html.j2").render(
        title=title,
        layer=layer,
        split=split,
        report=report,
        examples=examples,
        maps=any(example.largest for example in examples),
        written_by=f"protoscore {version('protoscore')}",
        style=Markup((STATIC / "base.css").read_text()),
    )


def _picture(pixels: Pixels) -> str:
    """Encode an image as a data URI."""
    return _data_uri(_encode(pixels))


def _map(sensitivity: Floats, largest: float) -> str:
    """Colour a signed map, blue above 0 and orange below, and encode it as a data URI."""
    shade = 0.5 + 0.5 * sensitivity / largest if largest else np.full(sensitivity.shape, 0.5)
    colours = _SHADES(shade, bytes=True)[..., :3]
    return _data_uri(_encode(np.ascontiguousarray(colours)))


def _encode(pixels: Pixels) -> bytes:
    return _ENCODING.encode(_ENCODING.shrink(pixels))


def _data_uri(image: bytes) -> str:
    return f"data:{MEDIA_TYPE};base64,{base64.b64encode(image).decode()}"
