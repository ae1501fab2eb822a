"""Help texts that list what there is say all of it."""

import re
from dataclasses import fields

import pytest

from ray_jobs.cli import main
from ray_jobs.terminal.data_flags import DataFlags
from scoring.data.named import LOADERS
from scoring.nets import net_names
from scoring.runs.fleet import PRESETS
from scoring.training.recipes import RECIPES


def test_help_names_every_net_dataset_fleet_and_recipe(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["rescore", "--help"])
    words = {*re.findall(r"[\w-]+", capsys.readouterr().out)}
    assert {*net_names(), *LOADERS, *PRESETS, *RECIPES} <= words
    assert {f"--{field.name.replace('_', '-')}" for field in fields(DataFlags)} <= words
