"""The README says what the code says."""

import re
from pathlib import Path

from ray_jobs.commands import COMMANDS
from scoring.registry import markdown_table

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_metrics_table_is_the_registry():
    shown = re.search(r"<!-- metrics:[^>]*-->\n(.*?)\n<!-- /metrics -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == markdown_table(), "run `python -m scoring.registry`"


def test_every_command_in_it_exists():
    commands = set(re.findall(r"(?:^|[`/])protoscore ([a-z]+)", README, re.MULTILINE))
    assert {"rescore", "plan", "query", "outliers", "prototypes"} <= commands
    assert commands <= {*COMMANDS}
