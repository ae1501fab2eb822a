"""How figures look: SVG that stands in the page and follows its colours."""

import io
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

P = ParamSpec("P")

INK, SOFT = "#010203", "#040506"  # replaced by the page's own colours
OUTLYING, PROTOTYPICAL = "#c8641a", "#3b78d8"  # on light and dark alike
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "protoscore",  # ids that follow from what they name
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, str]:
    """A function that draws a figure, as one that gives its svg element.

    Equal arguments give equal text, whoever draws what before.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        sink = io.StringIO()
        with mpl.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
            metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(sink, format="svg", transparent=True, metadata=metadata)
        element = "<svg" + sink.getvalue().partition("<svg")[2]
        plain = re.sub(
            r' xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>', "", element, flags=re.DOTALL
        )
        return plain.replace(INK, "currentColor").replace(SOFT, "var(--line)")

    return drawn
