"""The help of every evaluation says what it finds, and what happens without each flag."""

import re

import pytest

from ray_jobs.cli import main
from ray_jobs.commands.evaluate import EVALUATIONS


@pytest.mark.parametrize("name", EVALUATIONS)
def test_help(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", name, "--help"])
    assert not stop.value.code
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    usage, _, summary, *_ = said.splitlines()
    assert usage.startswith(f"usage: protoscore evaluate {name} ")
    assert re.fullmatch(r"[A-Z].*\.", summary)
    flags = said.partition("adv-l2 options")[0]  # settings of metrics follow
    for nothing in ("(default: )", "(default: None)", "(default: '')"):
        assert nothing not in flags
