"""A page that shows predictions taken apart into training examples."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps

from scoring.arrays import Floats
from scoring.data.images import Pixels
from scoring.report.templates import STATIC, templates
from scoring.report.thumbnails import MEDIA_TYPE, Encoding

_ENCODING = Encoding(side=96, lossless=True)

Content = Pixels | str
"""An image [H, W, D] uint8, or a text."""


@dataclass(frozen=True, kw_only=True)
class ShownPoint:
    """A training example and its share."""

    train_id: int
    label: str
    content: Content | None
    """None where it cannot be read."""
    sensitivity: Floats | None
    """[H, W]: which pixels of the test image make it pull; sums over channels, signed."""
    value: float
    alpha: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class ShownExample:
    """An output of a test example, and its strongest points."""

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
        """Largest absolute value in its maps, which share one scale of colours."""
        points = (*self.excitatory, *self.inhibitory)
        maps = (p.sensitivity for p in points if p.sensitivity is not None)
        return max((float(np.abs(map_).max()) for map_ in maps), default=0.0)


def render_explanations(title: str, about: str, examples: Sequence[ShownExample]) -> str:
    """One HTML file that needs nothing else.

    Args:
        title: whose examples they are.
        about: one line on the layer.
        examples: what to show, in order.
    """
    environment = templates()
    environment.filters |= {"picture": _picture, "map": _map, "number": lambda v: f"{v:.3g}"}
    return environment.get_template("explanations.html.j2").render(
        title=title,
        about=about,
        examples=examples,
        maps=any(example.largest for example in examples),
        written_by=f"protoscore {version('protoscore')}",
        style=Markup((STATIC / "base.css").read_text()),
    )


def _picture(pixels: Pixels | None) -> str:
    """An image as a data URI; "" where it cannot be read."""
    return "" if pixels is None else _uri(_encoded(pixels))


def _map(sensitivity: Floats, largest: float) -> str:
    """A signed map in colours, red above 0 and blue below, as a data URI."""
    shade = 0.5 + 0.5 * sensitivity / largest if largest else np.full(sensitivity.shape, 0.5)
    colours = colormaps["RdBu_r"](shade, bytes=True)[..., :3]
    return _uri(_encoded(np.ascontiguousarray(colours)))


def _encoded(pixels: Pixels) -> bytes:
    return _ENCODING.encode(_ENCODING.shrunk(pixels))


def _uri(image: bytes) -> str:
    return f"data:{MEDIA_TYPE};base64,{base64.b64encode(image).decode()}"
