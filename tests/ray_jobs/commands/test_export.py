import json
import subprocess
import sys
from dataclasses import replace

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from report_store import METRICS, publish_scores, shapes, write_dataset

from ray_jobs.cli import main as protoscore
from ray_jobs.commands import export
from ray_jobs.terminal.console import run_job
from scoring.analysis.snapshot import take_snapshot
from scoring.store.storage import Storage

EXAMPLES = {"train": shapes(30, 2, seed=1), "test": shapes(20, 2, seed=2)}
CLASSES = ["round", "square"]


def publish(uri, *names, texts=METRICS, examples=EXAMPLES):
    storage = Storage(uri)
    for name in names:
        versions = write_dataset(storage, name, examples, CLASSES)
        publish_scores(storage, name, versions, examples, texts, night=f"{name}{len(texts)}")


@pytest.fixture
def store(tmp_path, monkeypatch):
    uri = str(tmp_path / "store")
    publish(uri, "shapes")
    monkeypatch.setenv("PROTOSCORE_STORE", uri)
    monkeypatch.chdir(tmp_path)
    return uri


def run(*flags):
    return run_job(export.main, flags)


def refused(capsys, *flags):
    """Run an export that must be refused; returns its one line of complaint."""
    assert run(*flags) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err.removeprefix("protoscore: error: ").rstrip()


NAMES = {
    "csv": "shapes.csv",
    "parquet": "shapes.parquet",
    "cleanlab": "shapes-label-issues.parquet",
    "fiftyone": "shapes-fiftyone",
    "huggingface": "shapes-huggingface",
}


@pytest.mark.parametrize("style", NAMES)
def test_every_format_goes_to_the_working_folder_by_default(store, tmp_path, capsys, style):
    more = ["--label-quality", "agr", "--threshold", "0.1"] if style == "cleanlab" else []
    assert protoscore(["export", "--to", style, *more]) == 0
    path = tmp_path / NAMES[style]
    metrics = "agr" if style == "cleanlab" else "adv_l2, agr"
    said = capsys.readouterr()
    assert said.out.startswith(
        f"50 examples of shapes (train, test), scored by {metrics}: {path}\nRead it with "
    )
    assert f'("{path}"' in said.out
    assert "export: 50/50 examples" in said.err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "store"])
    if path.is_dir():
        about = json.loads((path / "protoscore.json").read_text())
        assert (about["dataset"], about["scores_version"]) == ("shapes", 1)
        assert about["metrics"] == {"train": ["adv_l2", "agr"], "test": ["adv_l2", "agr"]}


def test_a_store_in_the_cloud(store_uri, tmp_path):
    publish(store_uri, "shapes")
    output = tmp_path / "out"
    assert run("--to", "huggingface", "--store", store_uri, "--output", str(output)) == 0
    table = pq.read_table(output / "data")
    assert sorted(table["example_id"].to_pylist()) == list(range(50))
    assert table["image"].null_count == 0


def test_metrics_split_and_time(store, tmp_path):
    flipped = {"agr": -EXAMPLES["test"].values["agr"]}
    changed = {**EXAMPLES, "test": replace(EXAMPLES["test"], values=flipped)}
    publish(store, "shapes", texts=METRICS[1:], examples=changed)
    flags = ("--to", "csv", "--metrics", "agr", "--split", "test")
    assert run(*flags, "--output", "now.csv") == 0
    assert run(*flags, "--output", "before.csv", "--at", "1") == 0
    now, before = (pacsv.read_csv(tmp_path / f"{name}.csv") for name in ("now", "before"))
    assert len(now) == len(before) == 20
    assert now["agr_value"].to_pylist() == [-value for value in before["agr_value"].to_pylist()]
    assert "adv_l2_value" not in now.column_names


def test_what_is_of_an_older_dataset_version_is_named(store, capsys):
    grown = {**EXAMPLES, "test": shapes(25, 2, seed=2)}
    publish(store, "shapes", texts=METRICS[1:], examples=grown)
    assert run("--to", "csv") == 0
    said = capsys.readouterr()
    assert "Left out, scored on an older dataset version: test/adv_l2\n" in said.err
    assert said.out.startswith("55 examples of shapes (train, test), scored by adv_l2, agr: ")


def test_label_issues_need_a_verdict_or_a_metric_and_a_share(store, tmp_path, capsys):
    said = refused(capsys, "--to", "cleanlab")
    assert said.startswith("--to cleanlab: expected a verdict on the train split as it is publish")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    flags = ("--to", "cleanlab", "--label-quality")
    said = refused(capsys, *flags, "conf", "--threshold", "0.1")
    assert said == "--label-quality: expected one of adv_l2, agr, got 'conf'"
    assert run(*flags, "adv_l2", "--threshold", "0.5") == 0
    issues = pq.read_table(tmp_path / "shapes-label-issues.parquet")["is_label_issue"]
    assert issues.to_pylist().count(True) == 25


def test_nothing_is_replaced_unless_it_is_an_export_and_one_says_so(store, tmp_path, capsys):
    for style, name in (("csv", "a.csv"), ("fiftyone", "a")):
        flags = ("--to", style, "--output", name)
        assert run(*flags) == 0
        capsys.readouterr()
        expected = f"--output: expected a new path, or --overwrite, got {name!r}"
        assert refused(capsys, *flags) == expected
        assert run(*flags, "--overwrite") == 0
    capsys.readouterr()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("years of it")
    said = refused(capsys, "--to", "fiftyone", "--output", "mine", "--overwrite")
    assert said == "--overwrite: expected a folder with a protoscore.json to replace, got 'mine'"
    said = refused(capsys, "--to", "csv", "--output", "mine", "--overwrite")
    assert said == "--overwrite: expected a file to replace, got 'mine'"
    assert (tmp_path / "mine" / "work").read_text() == "years of it"


@pytest.mark.parametrize("style", ["parquet", "huggingface"])
def test_an_old_export_is_replaced_only_by_a_whole_one(store, tmp_path, capsys, style):
    assert run("--to", style, "--output", "out") == 0
    (kept,) = [path for path in tmp_path.iterdir() if path.name != "store"]
    before = {path: path.read_bytes() for path in [kept, *kept.rglob("*")] if path.is_file()}
    last = take_snapshot(store).current("test").shards[-1]
    (tmp_path / "store" / last.path("shapes")).unlink()
    capsys.readouterr()
    assert run("--to", style, "--output", "out", "--overwrite") == 5
    assert "got no such file; rescore makes it again" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--to", "excel"],
            "--to: expected one of cleanlab, corrections, csv, fiftyone, huggingface, parquet, got "
            "'excel'",
        ),
        (["--dataset", "form"], "--dataset: expected one of shapes, got 'form'"),
        (["--metrics", "aum"], "--metrics: expected one of adv_l2, agr, got 'aum'"),
        (["--at", "0"], "--at: expected a version with published scores, got 0"),
        (["--output", "no/x.csv"], "--output: expected a path in a folder that exists, got 'no/x."),
        (["--threshold", "0.1"], "--threshold: expected it with --to cleanlab, got csv"),
        (["--label-quality", "agr"], "--label-quality: expected it with --to cleanlab, got csv"),
        (["--to", "parquet", "--raw-csv"], "--raw-csv: expected it with --to csv, got parquet"),
        (
            ["--to", "cleanlab", "--label-quality", "agr", "--threshold", "5"],
            "--threshold: expected a share in [0, 1], got",
        ),
        (
            ["--to", "cleanlab", "--threshold", "0.5"],
            "--threshold: expected it with --label-quality, got it without",
        ),
        (["--to", "cleanlab", "--metrics", "agr"], "--metrics: expected --label-quality"),
        (
            ["--to", "cleanlab", "--label-quality", "agr"],
            "--label-quality: expected it with --threshold, got it without",
        ),
    ],
)
def test_bad_flags_are_one_line(store, tmp_path, capsys, flags, message):
    flags = flags if "--to" in flags else ["--to", "csv", *flags]
    assert refused(capsys, *flags).startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_names_that_look_like_formulas(store, tmp_path):
    names = [f"=HYPERLINK({i})" for i in range(20)]
    examples = {**EXAMPLES, "test": replace(EXAMPLES["test"], names=names)}
    publish(store, "formulas", examples=examples)
    for flags, prefix in (([], "'"), (["--raw-csv"], "")):
        output = f"{prefix}.csv"
        assert run("--to", "csv", "--dataset", "formulas", "--output", output, *flags) == 0
        table = pacsv.read_csv(tmp_path / output)
        assert table["name"].to_pylist()[30:] == [f"{prefix}{name}" for name in names]
        agr = table["agr_value"].to_pylist()[30:]
        assert agr == EXAMPLES["test"].values["agr"].tolist()


def test_a_full_disk_is_one_line(store, tmp_path, monkeypatch, capsys):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full_disk)
    assert run("--to", "parquet") == 5
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"protoscore: error: --output {tmp_path}/shapes.parquet: No space left ")
    assert said.endswith("run the same command again")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_job_imports_neither_torch_nor_ray():
    code = (
        "import sys, ray_jobs.commands.export; print({'torch', 'ray', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
