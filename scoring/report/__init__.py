"""One folder of pages to look at: rankings, their examples, sets, correlations, runs, nights.

It is made of published tables and stored images alone: no model is run. It opens from disk or from
any web server, and asks nobody else for anything.
"""

from scoring.analysis.snapshot import take_snapshot
from scoring.report.facts import MetricText, Report, gather
from scoring.report.folder import check_output, local_path
from scoring.report.write import write_report

__all__ = [
    "MetricText",
    "Report",
    "check_output",
    "gather",
    "local_path",
    "take_snapshot",
    "write_report",
]
