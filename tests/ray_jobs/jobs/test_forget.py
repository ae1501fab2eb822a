"""The right to be forgotten: nothing of an example stays, and nothing else changes."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_files import digit_images, write_digits
from store_search import traces_of

import ray_jobs.jobs.forget as forget_module
from ray_jobs.cli import main
from ray_jobs.jobs.job_record import JobRecord
from scoring.data.forgotten import certificates, kept_ranges
from scoring.data.versions import all_versions
from scoring.store.records import read_json, write_record
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("msp", "gradient_norm", "vog", "agr", "representer_self")
FIRST, ROWS, TESTED = 130, 160, 60
"""Training rows of the first night, and of later ones; test rows."""
IDS = (60, 61, 75, 76, 77, 88, 99, 100, 101, 110, 119, 120, 125, 129, 130, 131, 140, 149, 150, 159)
"""The examples to forget; only training examples have these ids."""
SAME = ("value", "spread", "status", "label", "predicted", "name")
RANKED = ("rank", "percentile", "class_percentile", "class_z")


def test_the_ranges_between_forgotten_ids():
    assert kept_ranges(10, 5, [9, 15]) == [(10, 5)]
    assert kept_ranges(10, 5, [10, 12]) == [(11, 1), (13, 2)]
    assert kept_ranges(10, 5, [11, 12, 14]) == [(10, 1), (13, 1)]
    assert kept_ranges(10, 2, [10, 11]) == []


def examples() -> dict[int, tuple[str, bytes]]:
    images, _ = digit_images(slice(0, ROWS))
    return {i: (f"digit-{i}", images[i]) for i in IDS}


class Site:
    """A store, its source, and commands on both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder / "store")
        self.source = folder / "train.parquet"

    @property
    def storage(self) -> Storage:
        return Storage(self.uri)

    def run(self, *command: str) -> int:
        return main([*command, "--store", self.uri])

    def rescore(self, *flags: str) -> int:
        data = ("--train", str(self.source), "--test", str(self.folder / "test.parquet"))
        columns = ("--image-column", "image", "--label-column", "label", "--id-column", "file")
        how = ("--shard-rows", "50", "--recipe", "smoke", "--batch-rows", "50")
        metrics = ("--metrics", *METRICS)
        return self.run(
            "rescore", "--dataset", "parquet", "--name", "mine", *data, *columns, *how, *metrics, *flags
        )

    def forget(self, lines: Sequence[object], flag: str = "--ids", *more: str) -> int:
        file = self.folder / "list.txt"
        file.write_text("".join(f"{line}\n" for line in lines))
        split = ("--split", "train") if flag == "--ids" and "--split" not in more else ()
        return self.run("forget", flag, str(file), *split, *more)

    def rows(self, split: str = "train") -> dict[str, dict[int, dict[str, Any]]]:
        """Return each metric's rows by example id."""
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for row in Store(self.uri).scores(split=split).to_pylist():
            found.setdefault(row["metric"], {})[row["example_id"]] = row
        return found


@pytest.fixture(scope="module")
def made(in_process, tmp_path_factory):
    """A store with two nights, an explanation, example sets and evaluations."""
    site = Site(tmp_path_factory.mktemp("forget"))
    write_digits(site.folder / "test.parquet", slice(1000, 1000 + TESTED))
    write_digits(site.source, slice(0, FIRST))
    assert site.rescore() == 0
    write_digits(site.source, slice(0, ROWS))
    assert site.rescore() == 0
    cuts = ("--memorized-ensemble", "0", "--memorized-others", "100", "--no-clusters")
    evidence = ("--boundary", "gradient_norm", "--ensemble", "agr", "--priv", "msp")
    assert site.run("evaluate", "sets", "--split", "train", *evidence, *cuts) == 0
    assert site.run("evaluate", "deciles") == 0
    page = ("--page", str(site.folder / "explain.html"), "--batch-rows", "50", "-k", "10")
    assert site.run("explain", *page) == 0
    assert site.run("explain", *page, "--split", "train", "--ids", "75", "140", "5") == 0
    return site


@pytest.fixture
def site(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "site")
    return Site(tmp_path / "site")


def plain(rows: Mapping[int, Mapping[str, Any]], columns: Sequence[str]) -> dict[int, list[Any]]:
    return {i: [repr(row[name]) for name in columns] for i, row in sorted(rows.items())}


def test_nothing_of_them_stays_and_all_else_does(site, capsys):
    assert traces_of(site.uri, examples())
    before, explained = site.rows(), Store(site.uri).representers().to_pylist()
    tested = Store(site.uri).scores(split="test")
    models = {path.parent.name for path in Path(site.uri).glob("runs/*/run.json")}
    capsys.readouterr()
    assert site.forget(IDS) == 0
    said = capsys.readouterr().out
    assert "Forgot 20 train examples of mine" in said
    assert "--models retrain" in said
    assert traces_of(site.uri, examples()) == []

    after = site.rows()
    for metric in METRICS:
        kept = {i: row for i, row in before[metric].items() if i not in IDS}
        assert plain(after[metric], SAME) == plain(kept, SAME)
        assert sorted(row["rank"] for row in after[metric].values()) == list(range(len(kept)))
    assert Store(site.uri).scores(split="test") == tested
    left = [r for r in explained if r["train_id"] not in IDS]
    left = [r for r in left if r["split"] == "test" or r["test_id"] not in IDS]
    assert len(left) < len(explained)
    now = Store(site.uri).representers().to_pylist()
    without_rank = [{k: v for k, v in row.items() if k != "rank"} for row in now]
    assert without_rank == [{k: v for k, v in row.items() if k != "rank"} for row in left]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in now:
        key = row["run"], row["split"], row["test_id"], row["class"], row["sign"]
        groups.setdefault(key, []).append(row["rank"])
    assert all(ranks == list(range(len(ranks))) for ranks in groups.values())

    assert site.run("verify") == 0
    assert site.run("report", "--output", str(site.folder / "report")) == 0
    (certificate,) = certificates(site.storage)
    assert certificate.ids == IDS
    assert certificate.names == tuple(sorted(f"digit-{i}" for i in IDS))
    assert {*certificate.models} <= models
    assert certificate.ended_at
    assert any("source" in line for line in certificate.remaining)

    capsys.readouterr()
    assert site.rescore() == 0  # the source still has them
    said = capsys.readouterr().out
    assert "0 trained" in said or "(12 reused)" in said or "train    0 of" in said
    night = site.rows()
    for metric in METRICS:
        columns = [*SAME, *RANKED, "dataset_version"]
        assert plain(night[metric], columns) == plain(after[metric], columns)
    assert traces_of(site.uri, examples()) == []
    assert Store(site.uri).scores(split="test") == tested
    assert site.rescore() == 0
    assert "nothing to do" in capsys.readouterr().out.lower()
