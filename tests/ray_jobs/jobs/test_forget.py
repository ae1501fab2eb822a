"""The right to be forgotten: nothing of an example stays, and nothing else changes."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from digit_files import digit_images, write_digits
from review_store import decisions, write_file
from store_search import traces_of

from ray_jobs.cli import main
from ray_jobs.jobs import forget as forget_module
from ray_jobs.jobs import lease as lease_module
from ray_jobs.jobs.job_record import FORGET
from ray_jobs.jobs.lease import writing_job
from scoring.data.forgotten import certificates
from scoring.data.reviews import load_queue, queue_ids
from scoring.data.studies import load_study, study_ids
from scoring.errors import Outage
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.whole_partitions import WHOLE_TABLES

METRICS = ("msp", "gradient_norm", "vog", "agr", "representer_self", "fleet_aum")
FIRST, ROWS, TESTED = 130, 160, 60
"""Training rows of the first night, and of later ones; test rows."""
IDS = (60, 61, 75, 76, 77, 88, 99, 100, 101, 110, 119, 120, 125, 129, 130, 131, 140, 149, 150, 159)
"""The examples to forget; only training examples have these ids."""
SAME = ("value", "spread", "status", "label", "predicted", "name")
RANKED = ("rank", "percentile", "class_percentile", "class_z")


def examples() -> dict[int, tuple[str, bytes]]:
    images, _ = digit_images(slice(0, ROWS))
    return {i: (f"digit-{i}", images[i]) for i in IDS}


class Site:
    """A store, its source, and commands on both."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.uri = str(folder / "store")
        self.source = data / "train.parquet"
        self.test = data / "test.parquet"

    @property
    def storage(self) -> Storage:
        return Storage(self.uri)

    def run(self, *command: str) -> int:
        return main([*command, "--store", self.uri])

    def rescore(self, *flags: str) -> int:
        data = ("--train", str(self.source), "--test", str(self.test))
        columns = ("--image-column", "image", "--label-column", "label", "--id-column", "file")
        how = ("--shard-rows", "50", "--recipe", "smoke", "--batch-rows", "50")
        metrics = ("--metrics", *METRICS)
        return self.run(
            "rescore",
            "--dataset",
            "parquet",
            "--name",
            "mine",
            *data,
            *columns,
            *how,
            *metrics,
            *flags,
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
    folder = tmp_path_factory.mktemp("forget")
    site = Site(folder, folder)
    write_digits(site.test, slice(1000, 1000 + TESTED))
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
    """A copy of the store, of the same source."""
    shutil.copytree(made.uri, tmp_path / "store")
    return Site(tmp_path, made.folder)


def plain(rows: Mapping[int, Mapping[str, Any]], columns: Sequence[str]) -> dict[int, list[Any]]:
    return {i: [repr(row[name]) for name in columns] for i, row in sorted(rows.items())}


def out_of_bag(site: Site, split: str) -> dict[int, list[float]]:
    rows = Store(site.uri).probabilities(split=split).to_pylist()
    return {row["example_id"]: row["probabilities"] for row in rows}


def test_nothing_of_them_stays_and_all_else_does(site, capsys):
    places = {place.partition("/")[0] for place in traces_of(site.uri, examples())}
    assert places == {"datasets", "tables", "staging", "features", "explanations", "jobs", "runs"}
    before, explained = site.rows(), Store(site.uri).representers().to_pylist()
    tested = Store(site.uri).scores(split="test")
    probable = {split: out_of_bag(site, split) for split in ("train", "test")}
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
    probable["train"] = {i: p for i, p in probable["train"].items() if i not in IDS}
    assert {split: out_of_bag(site, split) for split in probable} == probable
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
    assert not [path for path in Path(site.uri).rglob("*") if path.stem in certificate.shards]
    assert any("source" in line for line in certificate.remaining)

    capsys.readouterr()
    assert site.rescore() == 0  # the source still has them
    said = capsys.readouterr().out
    assert "train    0 of 8 runs" in said
    assert re.search(r"ingest   0 of (\d+) shards \(\1 reused\)", said)  # the source is not read
    night = site.rows()
    for metric in METRICS:
        columns = [*SAME, *RANKED, "dataset_version"]
        assert plain(night[metric], columns) == plain(after[metric], columns)
    assert traces_of(site.uri, examples()) == []
    assert Store(site.uri).scores(split="test") == tested
    assert {split: out_of_bag(site, split) for split in probable} == probable
    assert site.rescore() == 0
    assert "nothing to do" in capsys.readouterr().out.lower()


def test_studies_no_longer_show_them(site, capsys):
    page = str(site.folder / "study")
    assert site.run("study", "--sets", "2", "--output", page) == 0
    (study,) = study_ids(site.storage)
    before = load_study(site.storage, study)
    assert before.shows(IDS)
    capsys.readouterr()
    assert site.forget(IDS, "--ids", "--dry-run") == 0
    assert "studies      1 file" in capsys.readouterr().out
    assert load_study(site.storage, study) == before
    assert site.forget(IDS) == 0
    after = load_study(site.storage, study)
    assert not after.shows(IDS)
    shown = [screen.shown for set_ in after.sets for screen in set_]
    then = [screen.shown for set_ in before.sets for screen in set_]
    assert shown == [tuple(None if i in IDS else i for i in ids) for ids in then]
    assert site.run("verify") == 0
    assert site.run("vacuum", "--older-than-days", "0") == 0
    assert study_ids(site.storage) == [study]


def test_reviews_no_longer_hold_them(site, capsys):
    page = ("--checks", str(ROWS), "--output", str(site.folder / "review"))
    assert site.run("review", *page) == 0
    (queue,) = queue_ids(site.storage)
    before = load_queue(site.storage, queue)
    assert {*IDS} <= {check.example_id for check in before.checks}
    file = write_file(site.folder, decisions(before, lambda check: ("exclude", None)))
    assert site.run("review", "--import", file) == 0
    capsys.readouterr()
    assert site.forget(IDS, "--ids", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "reviews      1 file" in said
    assert "verdicts     20 rows" in said
    assert site.forget(IDS) == 0
    after = load_queue(site.storage, queue)
    assert after.checks == tuple(c for c in before.checks if c.example_id not in IDS)
    left = Store(site.uri).verdicts().to_pylist()
    assert {row["example_id"] for row in left} == {c.example_id for c in after.checks}
    assert traces_of(site.uri, examples()) == []
    assert site.run("verify") == 0


STEPS = ("cut_versions", "files_with", "rewrite", "remnants", "traces", "_strike_commands")


@pytest.mark.parametrize("step", [*STEPS, "_remaining"])
def test_the_next_forget_completes_one_that_died(site, monkeypatch, step, capsys):
    work = getattr(forget_module, step)

    def die(*arguments):
        work(*arguments)
        raise Outage("the store is away")

    monkeypatch.setattr(forget_module, step, die)
    assert site.forget(IDS) == Outage.exit_code
    monkeypatch.setattr(forget_module, step, work)
    if step == "files_with":  # shards are cut, but tables are as they were
        assert site.rescore() == 0
        assert all(not {*IDS} & {*rows} for rows in site.rows().values())
    assert site.forget(IDS) == 0
    assert traces_of(site.uri, examples()) == []
    (certificate,) = certificates(site.storage)
    assert certificate.ended_at
    assert all(len(rows) == ROWS - len(IDS) for rows in site.rows().values())
    assert site.run("verify") == 0
    capsys.readouterr()
    assert site.forget(IDS) == 0
    assert capsys.readouterr().out.startswith("Nothing to forget")


def test_a_shard_whose_writer_died_goes_too(site):
    shard = next((Path(site.uri) / "datasets/mine/shards").iterdir())
    unfinished = shard.with_name(f".{shard.name}.{'0' * 32}.partial")
    unfinished.write_bytes(shard.read_bytes()[:1000])
    assert site.forget(IDS) == 0
    assert not unfinished.exists()


def test_half_of_the_files_removed(site, monkeypatch):
    remove = Storage.remove

    def die(self, paths):
        some = sorted(paths)
        remove(self, some[: len(some) // 2])
        raise Outage("the store is away")

    monkeypatch.setattr(Storage, "remove", die)
    assert site.forget(IDS) == Outage.exit_code
    monkeypatch.setattr(Storage, "remove", remove)
    assert site.forget([0]) == 0  # any later one completes it
    assert traces_of(site.uri, examples()) == []
    assert all(len(rows) == ROWS - len(IDS) - 1 for rows in site.rows().values())


def test_earlier_versions_are_dropped_and_say_so(site, capsys):
    assert site.run("query", "select count(*) from scores", "--at", "2") == 0
    assert site.forget(IDS) == 0
    day = certificates(site.storage)[0].day
    capsys.readouterr()
    for command in (
        ("query", "select count(*) from scores", "--at", "2"),
        ("diff", "--from", "2"),
        ("report", "--at", "2", "--output", str(site.folder / "then")),
        ("export", "--at", "2", "--to", "csv", "--output", str(site.folder / "then.csv")),
    ):
        assert site.run(*command) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"expected a version from after {day}, when examples were forgotten" in said
    assert site.run("history") == 0
    assert site.run("check") == 0  # there is nothing to compare with
    assert site.run("vacuum", "--older-than-days", "0") == 0
    assert site.rescore() == 0
    assert traces_of(site.uri, examples()) == []


def test_names_in_both_splits_and_twice(site, capsys):
    assert site.forget(["digit-70"], "--names") == 0
    assert site.forget(["digit-71", "digit-1003", "digit-70"], "--names") == 0
    made = {(c.split, c.ids): c.names for c in certificates(site.storage)}
    assert made == {
        ("train", (70,)): ("digit-70",),
        ("train", (71,)): ("digit-71",),
        ("test", (3,)): ("digit-1003",),
    }
    assert site.rescore() == 0
    assert not {70, 71} & {*site.rows()["vog"]}
    assert 3 not in site.rows("test")["vog"]
    assert site.rows("test")["vog"][4]["name"] == "digit-1004"


def test_models_that_saw_them_go_once_others_are_trained(site, capsys):
    assert site.forget(IDS) == 0
    (certificate,) = certificates(site.storage)
    runs = {path.parent.name for path in Path(site.uri).glob("runs/*/run.json")}
    assert len(certificate.models) > 1
    capsys.readouterr()
    assert site.run("explain", "--ids", "3", "--page", str(site.folder / "page.html")) == 2
    said = capsys.readouterr().err
    assert "expected all train rows of mine" in said
    assert "--models retrain" in said
    more = ("--metrics", *METRICS, "ret")
    assert site.rescore(*more) == 2  # a run more, of a fleet whose rows are gone
    assert "--models retrain" in capsys.readouterr().err
    assert site.rescore("--models", "retrain") == 0
    assert site.run("vacuum", "--older-than-days", "0") == 0
    left = {path.parent.name for path in Path(site.uri).glob("runs/*/run.json")}
    assert not left & {*certificate.models}
    assert left - runs


def test_a_source_that_moves_a_forgotten_example_is_refused(site, capsys):
    assert site.forget(IDS) == 0
    site.source = write_digits(site.folder / "train.parquet", slice(1, ROWS))
    capsys.readouterr()
    assert site.rescore() == 2
    said = capsys.readouterr().err
    assert "expected no forgotten example, got one that was forgotten on" in said


def test_a_dry_run_changes_nothing(site, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path(site.uri).rglob("*")}
    capsys.readouterr()
    assert site.forget(IDS, "--ids", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "Would forget 20 train examples of mine" in said
    assert f"scores       {len(METRICS) * len(IDS)} rows" in said
    assert {path: path.stat().st_mtime_ns for path in Path(site.uri).rglob("*")} == before


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        (
            [70, 999],
            ["--ids", "--split", "train"],
            "--ids: expected ids of the train split of mine",
        ),
        (["x"], ["--ids", "--split", "train"], "--ids: expected an example id on each line"),
        ([], ["--ids", "--split", "train"], "--ids: expected a file with a line for each example"),
        (["nobody"], ["--names"], "--names: expected names of train or test examples of mine"),
        ([1], ["--ids", "--dataset", "you"], "--dataset: expected one of mine, got 'you'"),
        (range(TESTED), ["--ids", "--split", "test"], "expected to keep some test examples"),
    ],
)
def test_what_is_refused(made, capsys, lines, flags, said):
    before = {*Path(made.uri).rglob("*")}
    capsys.readouterr()
    assert made.forget(lines, *flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert {*Path(made.uri).rglob("*")} - before == set() or "keep" in said


def test_flags_that_do_not_go_together(made, capsys):
    for flags, said in (
        ([], "--ids, --names: expected one of them, got neither"),
        (["--ids", "a", "--names", "b"], "expected one of them, got both"),
        (["--ids", "a"], "--split: expected train or test with --ids"),
        (["--names", str(made.folder / "none")], "--names: expected a text file in UTF-8"),
    ):
        assert made.run("forget", *flags) == 2
        assert said in capsys.readouterr().err


def test_it_needs_the_store_for_itself(site, capsys, monkeypatch):
    with writing_job(site.storage, "rescore", command="protoscore rescore"):
        assert site.forget(IDS) == 2
        assert "expected no job at work" in capsys.readouterr().err
    assert certificates(site.storage) == []


def test_a_command_that_waited_for_it_begins_anew(site, capsys, monkeypatch):
    wait = lease_module.Lease._wait_for_removals

    def slowly(self, *arguments):
        wait(self, *arguments)
        self.waited = self.waited or self._record.job != FORGET

    monkeypatch.setattr(lease_module.Lease, "_wait_for_removals", slowly)
    assert site.run("evaluate", "deciles") == Outage.exit_code
    assert "run the command again" in capsys.readouterr().err


def test_every_column_of_example_ids_is_declared():
    for table in WHOLE_TABLES:
        declared = {column.name for column in table.examples}
        ids = {field.name for field in table.data if field.name.endswith("_id")}
        assert declared == {
            name for name in ids if pa.types.is_integer(table.data.field(name).type)
        }


def test_pages_without_images(site):
    page, pages = site.folder / "page.html", site.folder / "pages"
    assert site.run("explain", "--ids", "3", "--no-images", "--page", str(page)) == 0
    assert "digit-1003" in page.read_text()
    assert "<img" not in page.read_text()
    assert site.run("report", "--no-images", "--output", str(pages)) == 0
    assert not list(pages.rglob("packs/*"))
    assert '"kind":"none"' in (pages / "data" / "train.js").read_text()
