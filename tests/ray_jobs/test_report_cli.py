import subprocess
import sys
from pathlib import Path

import pytest
from report_store import publish_scores, shapes, write_dataset

from ray_jobs import report
from ray_jobs.console import run_job
from scoring.storage import Storage


@pytest.fixture
def store(tmp_path):
    examples = {"train": shapes(20, 2, seed=1), "test": shapes(20, 2, seed=2)}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return storage.uri


def run(*flags: str) -> int:
    return run_job(report.main, flags)


def test_it_writes_one_page_and_says_where(store, tmp_path, capsys):
    output = tmp_path / "out" / "page.html"
    output.parent.mkdir()
    assert run("--store", store, "--output", str(output)) == 0
    assert capsys.readouterr().out == f"Report on shapes, 0.1 MB, to look at: {output}\n"
    page = output.read_text()
    assert page.startswith("<!doctype html>")
    # What the metrics say of themselves, from the registry.
    assert "mean Jensen-Shannon divergence between independently trained models" in page
    assert [path.name for path in output.parent.iterdir()] == ["page.html"]  # no partial file


def test_the_page_goes_to_the_working_folder_by_default(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROTOSCORE_STORE", store)
    assert run("--dataset", "shapes", "--at", "1") == 0
    assert (tmp_path / "report.html").is_file()
    assert str(tmp_path / "report.html") in capsys.readouterr().out


def test_an_old_page_is_replaced_only_by_a_whole_one(store, tmp_path, monkeypatch):
    output = tmp_path / "report.html"
    output.write_text("the old page")

    def full_disk(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        assert run("--store", store, "--output", str(output)) == 2
    assert output.read_text() == "the old page"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "store"]
    assert run("--store", store, "--output", str(output)) == 0
    assert output.read_text() != "the old page"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "form"], "--dataset: expected one of shapes, got 'form'"),
        (["--at", "7"], "--at: expected a version from 0 to 1, got 7"),
        (["--at", "0"], "--at: expected a version with published scores, got 0"),
        (["--at", "dawn"], "--at: expected a version from 0 to 1, a date like"),
        (["--output", "/no/such/folder/page.html"], "--output: expected a file in a folder that"),
        (["--output", "/"], "--output: expected a file in a folder that exists, got '/'"),
    ],
)
def test_bad_flags_are_one_line(store, capsys, flags, message):
    assert run("--store", store, *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"protoscore: error: {message}")
    assert error.count("\n") == 1


def test_a_store_without_scores_is_one_line(tmp_path, capsys):
    assert run("--store", str(tmp_path / "none")) == 2
    assert "expected a store with published scores" in capsys.readouterr().err


def test_the_job_imports_neither_torch_nor_ray():
    code = "import sys, ray_jobs.report; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
