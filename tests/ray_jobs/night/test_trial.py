"""A trial knows the pace of all that a first night has to do, and leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_plans import SMALL, forecast_of

from ray_jobs.cli import main
from ray_jobs.jobs.pace import training_kind
from ray_jobs.night import trial
from ray_jobs.night.cluster_shape import ClusterShape
from ray_jobs.night.estimate import estimate
from ray_jobs.night.trial import try_out
from scoring.errors import UserError

HERE = ClusterShape(cpus=2.0, gpus=0.0)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Time each net for a moment only."""
    monkeypatch.setattr(trial, "_AIM_S", 0.01)


def test_every_stage_of_a_first_night_is_known(tmp_path):
    ahead = forecast_of(tmp_path / "empty")
    threads = torch.get_num_threads()
    rates = try_out(ahead)
    assert torch.get_num_threads() == threads
    assert rates.basis.startswith("a trial of ")
    taken = estimate(ahead, HERE, rates)
    assert set(taken.seconds) == {"ingest", "train", "score", "other"}
    assert all(seconds > 10 for stage, seconds in taken.seconds.items() if stage != "other")
    assert {run.net.width for run in ahead.runs} == {0.5, 1.0}
    trained = [kind for kind in rates.paces if "small_cnn" in kind]
    assert len(trained) == 2 + 3  # plain ones by width; fine-tuned, private and at rest
    assert not (tmp_path / "empty").exists()


def test_looks_at_other_rows_are_counted(tmp_path):
    ahead = forecast_of(tmp_path / "empty", "--metrics", "conf")
    rates = try_out(ahead)
    run = ahead.runs[0]  # of an ensemble: on two thirds of 100 rows
    epochs, pace = run.recipe.epochs_for(66), rates.paces[training_kind(run)]
    taken = estimate(replace(ahead, missing_runs=(run,)), HERE, rates).seconds["train"]
    trained, looked = 66 * epochs, 100 / 3 * epochs / 3
    assert taken == pytest.approx(10 + (trained + looked) * pace.seconds)


def test_only_what_is_left_to_do_is_tried(ingested):
    rates = try_out(forecast_of(ingested, "--metrics", "msp"))
    assert rates.paces.keys() == {"plain small_cnn x1", "score", "features"}


def test_texts_are_tried_too(tmp_path):
    flags = ("--dataset", "parquet", "--name", "mine", "--text-column", "text")
    paths = reviews(tmp_path)
    ahead = forecast_of(tmp_path / "empty", *flags, *paths, "--metrics", "conf")
    rates = try_out(ahead)
    assert estimate(ahead, HERE, rates).hours is not None


def reviews(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = [f"{'good' if i % 2 else 'bad'} film number {i}" for i in range(40)]
    flags = []
    for split in ("train", "test"):
        path = folder / f"{split}.parquet"
        pq.write_table(pa.table({"text": words, "label": [i % 2 for i in range(40)]}), path)
        flags += [f"--{split}", str(path)]
    return flags


def test_a_trial_for_gpus_needs_one(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ahead = forecast_of(tmp_path / "empty", "--device", "cuda", "--metrics", "msp")
    with pytest.raises(UserError, match="--trial: expected a machine with a GPU"):
        try_out(ahead)


def test_the_command_says_so(tmp_path, capsys):
    command = ["plan", *SMALL, "--store", str(tmp_path / "store"), "--metrics", "msp", "--trial"]
    assert main([*command, "--cpus", "4"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("  time     about ")
    assert " on 4 CPUs (ingest 1" in last
    assert last.endswith(" on this machine went")
    assert not (tmp_path / "store").exists()
