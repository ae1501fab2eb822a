"""The README says what the code says."""

import re
from pathlib import Path

from ray_jobs.commands import COMMANDS
from scoring.registry import markdown_table, with_metrics

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_metrics_table_is_the_registry():
    assert markdown_table() in README, "run `python -m scoring.registry`"
    assert with_metrics(README) == README


def test_every_command_in_it_exists():
    commands = set(re.findall(r"(?:^|[`/])protoscore ([a-z]+)", README, re.MULTILINE))
    assert {"rescore", "plan", "query", "outliers", "prototypes"} <= commands
    assert commands <= {*COMMANDS}
