"""The page itself: one HTML file with styles, script, data and images inside."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup

from scoring.analysis.statistics import Errors
from scoring.report import figures
from scoring.report.build import Report
from scoring.report.payload import as_script, payload
from scoring.report.templates import templates
from scoring.tables.evaluations import Finding

_FOLDER = Path(__file__).parent
_MISSING = "–"


def render(report: Report) -> str:
    """The report as a page that needs nothing else, and asks nobody for anything."""
    environment = templates()
    environment.filters |= {
        "count": _count,
        "percent": _percent,
        "duration": _duration,
        "moment": _moment,
        "number": _number,
        "breakable": _breakable,
        "correlation": _correlation,
        "extent": _extent,
    }
    errors = _errors_on_test(report)
    return environment.get_template("page.html.j2").render(
        report=report,
        snapshot=report.snapshot,
        newest=report.snapshot.newest,
        night=_night_of(report),
        planned=datetime.fromisoformat(report.snapshot.newest.planned_at),
        undecodable=sum(split.version.undecodable for split in report.splits),
        classes=report.splits[-1].version.classes,
        errors=errors,
        error_figures=_error_figures(errors),
        evaluations=[_evaluation(*found) for found in report.evaluations.items()],
        written_by=f"protoscore {version('protoscore')}",
        # Read as text: templates would see their own marks in braces of CSS and JavaScript.
        style=Markup((_FOLDER / "page.css").read_text()),
        script=Markup((_FOLDER / "page.js").read_text()),
        data=Markup(as_script(payload(report))),
    )


def _night_of(report: Report) -> object:
    """The row of the night that published last; None while it is not recorded."""
    night_id = report.snapshot.newest.night_id
    return next((night for night in report.nights if night["night_id"] == night_id), None)


def _errors_on_test(report: Report) -> dict[str, Errors]:
    """Errors by decile of each metric on the test split; rows it trained on would flatter."""
    return {
        name: metric.errors
        for split in report.splits
        if split.split == "test"
        for name, metric in split.metrics.items()
        if metric.errors
    }


def _error_figures(errors: Mapping[str, Errors]) -> dict[str, Markup]:
    highest = max((rate or 0.0 for of in errors.values() for rate in of.rates), default=0.0)
    return {name: Markup(figures.errors_by_tenths(of, highest)) for name, of in errors.items()}


def _evaluation(name: str, findings: Sequence[Finding]) -> dict[str, object]:
    """An evaluation for the template; `figure` is None where none is drawn.

    Of points, thousands perhaps, the figure alone is shown.
    """
    draw = figures.FIGURES.get(name)
    figure = Markup(draw(findings)) if draw else None
    listed = name not in figures.SCATTERS
    return {"name": name, "findings": findings, "figure": figure, "listed": listed}


def _count(value: int | None) -> str:
    return _MISSING if value is None else f"{value:,}"


def _percent(share: float | None, digits: int = 1) -> str:
    return _MISSING if share is None else f"{100 * share:.{digits}f} %"


def _number(value: float | None) -> str:
    return _MISSING if value is None or math.isnan(value) else f"{value:.4g}"


def _extent(ascending: Sequence[float]) -> str:
    ends = dict.fromkeys((_number(ascending[0]), _number(ascending[-1]))) if ascending else ()
    return " to ".join(ends)


def _breakable(name: str) -> Markup:
    return Markup("_<wbr>").join(name.split("_"))


def _correlation(value: float) -> str:
    return _MISSING if math.isnan(value) else f"{value:.2f}".replace("-", "−")


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
