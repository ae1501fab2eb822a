"""The summary that a night leaves for the program that started it, however it ends."""

import errno
import json
from datetime import date

import pytest
from in_process import InProcessEngine, jobs_in_process, rescoring
from small_plans import SMALL

from ray_jobs.jobs.progress import Progress
from ray_jobs.night.night_record import Night
from ray_jobs.night.summary import write_summary
from ray_jobs.terminal.console import run_job
from scoring.errors import (
    BadData,
    Damaged,
    IncompleteError,
    Outage,
    PartlyPublished,
    PublishedDiffers,
    Terminated,
    UserError,
)

FULL = "No space left on device; make room, for example by protoscore vacuum, then run the same "
FULL += "command again"
NIGHT = Night.begin("protoscore rescore", date(2026, 3, 1))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (PublishedDiffers("--net: expected mlp, got lstm"), 2, "--net: expected mlp, got lstm"),
        (PartlyPublished("priv was left out"), 3, "priv was left out"),
        (IncompleteError("no run was trained"), 4, "no run was trained"),
        (Damaged("run.json is cut off"), 5, "run.json is cut off"),
        (OSError(errno.ENOSPC, "x"), 5, FULL),
        (KeyboardInterrupt(), 130, "KeyboardInterrupt"),
        (Terminated(), 143, "Terminated"),
    ],
)
def test_a_summary_has_the_exit_code_of_the_process(tmp_path, error, code, said):
    path = tmp_path / "summary.json"

    def command(_):
        with write_summary(str(path), NIGHT):
            if error:
                raise error
        return 0

    assert run_job(command) == code
    assert json.loads(path.read_text()) == {
        "night_id": NIGHT.night_id,
        "date": "2026-03-01",
        "stages": [],
        "exit_code": code,
        "said": said,
    }


def test_what_others_say_is_not_repeated(tmp_path):
    """Messages of drivers may hold secrets; the traceback is for whoever reads the log."""
    path = tmp_path / "summary.json"
    with pytest.raises(OSError, match="hunter2"), write_summary(str(path), NIGHT):
        raise OSError("password=hunter2")
    summary = json.loads(path.read_text())
    assert (summary["exit_code"], summary["said"]) == (1, "OSError")


def test_stages_say_how_far_they_came(tmp_path):
    path = tmp_path / "summary.json"
    with write_summary(str(path), NIGHT):
        for name, unit, done, total in (("train", "run", 3, 3), ("score", "shard", 2, 5)):
            with Progress(name, total, unit) as progress:
                progress.advance(done)
    stages = json.loads(path.read_text())["stages"]
    assert [(s["name"], s["unit"], s["done"], s["total"]) for s in stages] == [
        ("train", "run", 3, 3),
        ("score", "shard", 2, 5),
    ]
    assert all(stage["seconds"] >= 0 for stage in stages)


def test_without_a_target_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with write_summary("", NIGHT):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with (
        pytest.raises(UserError, match="--summary: expected a file in a folder that exists, got"),
        write_summary(str(tmp_path / "none" / "summary.json"), NIGHT),
    ):
        pytest.fail("began")


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Run nights on one store; returns their exit code and summary."""
    root = tmp_path_factory.mktemp("nights")
    path = root / "summary.json"

    def night(*flags):
        path.write_text("of an earlier night")
        with jobs_in_process():
            code = rescoring(root / "store")(*SMALL, "--summary", str(path), *flags)
        return code, json.loads(path.read_text())

    return night


def test_the_summaries_of_nights(nights):
    code, published = nights("--metrics", "msp", "--date", "2026-03-01")
    assert code == published["exit_code"] == 0
    assert published["committed"] == ["digits/test/msp", "digits/train/msp"]
    assert published["already"] == published["yielded"] == []
    assert published["night"]["night_id"] == published["night_id"]
    assert published["night"]["commit_version"] == 1
    assert published["night"]["shards_scored"] == 6
    assert [(s["name"], s["done"], s["total"]) for s in published["stages"]] == [
        ("ingest", 3, 3),
        ("train", 1, 1),
        ("score", 3, 3),
        ("publish", 2, 2),
    ]

    code, nothing = nights("--metrics", "msp")
    assert code == nothing["exit_code"] == 0
    assert nothing["stages"] == []
    assert "night" not in nothing

    code, refused = nights("--metrics", "msp", "--net", "mlp")
    assert code == refused["exit_code"] == 2
    assert refused["said"].startswith("--net: expected small_cnn")


def test_a_night_that_is_interrupted_has_a_summary(nights, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(InProcessEngine, "train", interrupt)
    code, interrupted = nights("--metrics", "msp", "--as", "other", "--seed", "1")
    assert code == interrupted["exit_code"] == 130
    assert "night" not in interrupted


def test_a_full_disk_masks_no_error_but_is_one_where_there_is_none(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = str(tmp_path / "summary.json")
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(BadData, match="expected rows"), write_summary(path, NIGHT):
        raise BadData("expected rows, got none")
    assert capsys.readouterr().err.startswith(f"--summary {path}: No space left on device")
    with pytest.raises(Outage, match="--summary"), write_summary(path, NIGHT):
        pass
