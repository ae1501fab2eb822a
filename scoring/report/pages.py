"""The pages of a report as HTML; their scripts fill in whatever depends on the reader's choices."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

from markupsafe import Markup

from scoring.analysis.error_by_tenth import Errors
from scoring.analysis.verdict import KINDS
from scoring.data.texts import TextShape
from scoring.report import figures
from scoring.report.class_tables import class_tables
from scoring.report.facts import Report
from scoring.report.folder import GENERATOR
from scoring.report.matrices import matrices
from scoring.report.night_against_night import FAR, MOST
from scoring.report.templates import templates
from scoring.secrets import without_secrets

PAGES = {
    "labels": "Labels",
    "index": "Overview",
    "examples": "Examples",
    "classes": "Classes",
    "changes": "Changes",
    "correlations": "Correlations",
    "sets": "Sets",
    "evaluations": "Evaluations",
}
_OWN_PAGES = {
    "correlations": "correlations",
    "issues": "labels",
    "review": "labels",
    "sets": "sets",
}
_MISSING = "–"


def render(report: Report) -> dict[str, str]:
    """Render the pages, by file name."""
    environment = templates()
    environment.filters |= _FILTERS
    shared = {
        "report": report,
        "snapshot": report.snapshot,
        "classes": report.classes,
        "pages": PAGES,
        "generator": GENERATOR,
        "kind": "text" if isinstance(report.splits[-1].version.shape, TextShape) else "image",
        "stamp": f"{report.written_at:%Y%m%d%H%M%S}",
        "written_by": f"protoscore {version('protoscore')}",
        "evaluate_flags": _evaluate_flags(report),
        "judged": [split for split in report.splits if split.labels],
    }
    special = _special(report)
    return {
        f"{page}.html": environment.get_template(f"{page}.html.j2").render(
            page=page, **shared, **special.get(page, {})
        )
        for page in PAGES
    }


def _special(report: Report) -> dict[str, dict[str, Any]]:
    """Return what single pages show, by page."""
    return {
        "labels": {"kinds": KINDS},
        "index": _overview(report),
        "classes": {
            "tables": [class_tables(split, len(report.classes)) for split in report.splits]
        },
        "changes": {
            "changed": [split for split in report.splits if split.changes],
            "far": FAR,
            "most": MOST,
        },
        "correlations": {"matrices": matrices(report)},
        "evaluations": {
            "figures": _evaluation_figures(report),
            "own_pages": _own_pages(report),
            "scatters": figures.SCATTERS,
        },
    }


def _overview(report: Report) -> dict[str, Any]:
    errors = report.errors
    ordered = [m.name for group in report.by_purpose.values() for m in group if m.name in errors]
    return {
        "night": _night_of(report),
        "planned": datetime.fromisoformat(report.snapshot.newest.planned_at),
        "undecodable": sum(split.version.undecodable for split in report.splits),
        "errors": errors,
        "purposes": {metric.name: metric.purpose for metric in report.metrics},
        "groups": {
            "": [name for name in ordered if name in report.front],
            "more": [name for name in ordered if name not in report.front],
        },
        "error_figures": _error_figures(errors),
    }


def _evaluate_flags(report: Report) -> str:
    """Return the flags that make `protoscore evaluate` work on this report's scores."""
    snapshot = report.snapshot
    return f"--store {shlex.quote(snapshot.storage.uri)} --dataset {shlex.quote(snapshot.dataset)}"


def _night_of(report: Report) -> object:
    """Return the row of the night that published last, or None if it is not recorded."""
    night_id = report.snapshot.newest.night_id
    return next((night for night in report.nights if night["night_id"] == night_id), None)


def _error_figures(errors: Mapping[str, Errors]) -> dict[str, Markup]:
    highest = max((rate or 0.0 for e in errors.values() for rate in e.rates), default=0.0)
    return {metric: Markup(figures.errors_by_tenths(e, highest)) for metric, e in errors.items()}


def _evaluation_figures(report: Report) -> dict[str, Markup]:
    """Draw the evaluations; those with nothing to draw are left out."""
    drawn = {
        name: figures.draw_evaluation(name, findings)
        for name, findings in report.evaluations.items()
    }
    return {name: Markup(figure) for name, figure in drawn.items() if figure}


def _own_pages(report: Report) -> dict[str, str]:
    """Return the evaluations that have a page of their own, and its name."""
    kinds = {name: name.partition("_")[0] for name in report.evaluations}
    return {name: _OWN_PAGES[kind] for name, kind in kinds.items() if kind in _OWN_PAGES}


def _count(value: int | None) -> str:
    return _MISSING if value is None else f"{value:,}"


def _percent(share: float | None, digits: int = 1) -> str:
    return _MISSING if share is None else f"{100 * share:.{digits}f}%"


def _number(value: float | None) -> str:
    return _MISSING if value is None or math.isnan(value) else f"{value:.4g}"


def _rounded(value: float) -> str:
    return f"{value:,.0f}"


def _extent(ascending: Sequence[float]) -> str:
    ends = dict.fromkeys((_number(ascending[0]), _number(ascending[-1]))) if ascending else ()
    return " to ".join(ends)


def _breakable(name: str) -> Markup:
    return Markup("_<wbr>").join(name.split("_"))


def _correlation(value: float) -> str:
    return _MISSING if math.isnan(value) else f"{value:z.2f}".replace("-", "−")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {left} s"


def _moment(at: datetime) -> str:
    utc = at - (at.utcoffset() or timedelta())
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"


_FILTERS: Mapping[str, Callable[..., object]] = {
    "count": _count,
    "percent": _percent,
    "duration": _duration,
    "moment": _moment,
    "number": _number,
    "rounded": _rounded,
    "isnan": math.isnan,
    "breakable": _breakable,
    "correlation": _correlation,
    "extent": _extent,
    "without_secrets": without_secrets,
    "words": lambda name: name.replace("_", " "),
}
"""What templates write values with."""
