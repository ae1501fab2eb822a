"""One HTML page to look at: the ends of every class, correlations, errors, runs, nights.

It is made of published tables and stored images alone: no model is run, no file is fetched when
the page is opened.
"""

from scoring.analysis.snapshot import take_snapshot
from scoring.report.build import MetricText, Report, build
from scoring.report.page import render

__all__ = ["MetricText", "Report", "build", "render", "take_snapshot"]
