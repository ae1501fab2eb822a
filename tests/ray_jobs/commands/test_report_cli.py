import subprocess
import sys

import pytest
from report_store import publish_scores, shapes, write_dataset

from ray_jobs.commands import report
from ray_jobs.terminal.console import run_job
from scoring.store.filesystems import filesystem
from scoring.store.storage import Storage


@pytest.fixture
def store(tmp_path):
    examples = {"train": shapes(20, 2, seed=1), "test": shapes(20, 2, seed=2)}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return storage.uri


def run(*flags: str) -> int:
    return run_job(report.main, flags)


def test_it_writes_a_folder_and_says_where(store, tmp_path, capsys):
    output = tmp_path / "out" / "pages"
    output.parent.mkdir()
    assert run("--store", store, "--output", f"{output}/") == 0
    said = capsys.readouterr().out
    assert said == f"Report on shapes, 0.2 MB: open {output}/index.html\n"
    page = (output / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    # What the metrics say of themselves, from the registry.
    assert "mean Jensen-Shannon divergence between independently trained models" in page
    assert [path.name for path in output.parent.iterdir()] == ["pages"]  # nothing partial


def test_the_report_goes_to_the_working_folder_by_default(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROTOSCORE_STORE", store)
    assert run("--dataset", "shapes", "--at", "1") == 0
    assert str(tmp_path / "report" / "index.html") in capsys.readouterr().out
    assert run("--dataset", "shapes") == 0  # an earlier report is replaced
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.s3
def test_s3_gets_the_same_files(store, s3_store, tmp_path, capsys):
    output = f"{s3_store}/pages/report"
    there = Storage(output)
    there.write("data/stale.js", b"of an earlier report")
    there.write("index.html", b'<meta name="generator" content="protoscore report">')
    assert run("--store", store, "--output", output) == 0
    assert f"open {output}/index.html" in capsys.readouterr().out
    assert run("--store", store, "--output", str(tmp_path / "local")) == 0
    local = tmp_path / "local"
    expected = {str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()}
    assert {file.path for file in there.walk("")} == expected
    fs, path = filesystem(output)
    assert fs.info(f"{path}/index.html")["ContentType"] == "text/html"
    Storage(f"{s3_store}/mine").write("thesis.tex", b"mine")
    assert run("--store", store, "--output", f"{s3_store}/mine") == 2
    assert run("--store", store, "--output", "s3://no-such-bucket/report") == 2
    error = capsys.readouterr().err
    assert error.count("protoscore: error: --output: expected a") == error.count("\n") == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "form"], "--dataset: expected one of shapes, got 'form'"),
        (["--at", "7"], "--at: expected a version from 0 to 1, got 7"),
        (["--at", "0"], "--at: expected a version with published scores, got 0"),
        (["--at", "dawn"], "--at: expected a version from 0 to 1, a date like"),
        (["--output", "/no/such/folder/pages"], "--output: expected a folder inside one that"),
        (["--output", "/"], "--output: expected a new folder, an empty one or an earlier report"),
        (["--output", "r.html"], "--output: expected a folder, since a report has several pages"),
        (["--output", "nowhere://a/b"], "--output: expected a local path or s3://bucket/prefix"),
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
    code = "import sys, ray_jobs.commands.report; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
