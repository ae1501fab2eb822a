"""The style of figures: inline SVG that takes its colours from the page."""

import io
import re
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from scoring.printable import printable

P = ParamSpec("P")

INK, SOFT = "#010203", "#040506"  # placeholders, replaced by the page's own colours
OUTLYING, PROTOTYPICAL = "#c8641a", "#3b78d8"  # readable on light and on dark pages
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "protoscore",  # a fixed salt makes element ids reproducible
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $$, which is no formula
    "xtick.color": INK,
    "ytick.color": INK,
}
_LONGEST = 40  # characters of a name


def as_label(name: str) -> str:
    """Return a name of the user's as a figure shows it: printable, and cut if it is long."""
    text = printable(name)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return f" {text}" if text.startswith("_") else text  # a legend would leave _name out


def styled(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Turn a function that draws a figure into one that returns its svg element.

    Equal arguments give equal text, whatever was drawn before.
    """

    @wraps(draw)
    def draw_svg(*args: P.args, **kwargs: P.kwargs) -> str:
        buffer = io.StringIO()
        with mpl.rc_context(), warnings.catch_warnings():
            mpl.rcdefaults()  # a matplotlibrc in the current folder changes nothing
            mpl.rcParams.update(_STYLE)
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's has it
            figure = draw(*args, **kwargs)
            metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
        element = "<svg" + buffer.getvalue().partition("<svg")[2]
        plain = re.sub(
            r' xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>', "", element, flags=re.DOTALL
        )
        return plain.replace(INK, "currentColor").replace(SOFT, "var(--line)")

    return draw_svg
