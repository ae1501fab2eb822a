"""The report: a folder of static pages on rankings, examples, sets, correlations, runs and nights.

It is built from published tables and stored images alone: no model is run. It opens from disk or
from any web server, and loads nothing from anywhere else.
"""

from scoring.analysis.snapshot import take_snapshot
from scoring.report.facts import MetricInfo, Report, gather
from scoring.report.folder import REVIEW_GENERATOR, STUDY_GENERATOR, check_output, local_path
from scoring.report.review_page import write_review
from scoring.report.study_page import write_study
from scoring.report.write import write_report

__all__ = [
    "REVIEW_GENERATOR",
    "STUDY_GENERATOR",
    "MetricInfo",
    "Report",
    "check_output",
    "gather",
    "local_path",
    "take_snapshot",
    "write_report",
    "write_review",
    "write_study",
]
