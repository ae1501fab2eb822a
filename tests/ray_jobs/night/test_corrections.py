"""Corrected labels: laid over the source at ingest, kept, given back, and what they cost."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from correction_site import LABELS, METRICS, OTHER, SHARD, TESTED, TRAINED, Site
from digit_files import write_digits

from ray_jobs.cli import main
from scoring.data import ingest as ingest_module
from scoring.data.corrections import in_force
from scoring.errors import Outage
from scoring.tables import Store


@pytest.fixture(scope="module")
def made(in_process, tmp_path_factory):
    """A store with one night."""
    site = Site(tmp_path_factory.mktemp("corrections"))
    write_digits(site.train, slice(0, TRAINED))
    write_digits(site.test, slice(1000, 1000 + TESTED))
    assert site.rescore() == 0
    return site


@pytest.fixture
def site(made, tmp_path):
    """A copy of the store, of the same source."""
    shutil.copytree(made.folder, tmp_path / "site")
    site = Site(tmp_path / "site")
    site.train, site.test = made.train, made.test  # paths are part of keys
    return site


def test_only_the_shard_of_a_changed_row_is_scored_and_earlier_versions_stay(site, capsys):
    before = {split: site.rows(split) for split in ("train", "test")}
    untouched = site.train.read_bytes()
    assert (
        site.rescore("--corrections", site.correct(f"3,train,{OTHER[3]}", "4,train,exclude")) == 0
    )
    said = capsys.readouterr()
    assert "Labels of mine: 1 corrected, 1 excluded; 2 corrections in force" in said.out
    assert "ingest: 1/1 shard," in said.err
    assert "score: 1/1 shard," in said.err
    night = site.nights()[-1]
    shards = (TRAINED + TESTED) // SHARD
    scored = len(METRICS) + 1  # predictions too
    assert (night["shards_scored"], night["shards_reused"]) == (scored, scored * (shards - 1))
    assert (night["corrected"], night["excluded"], night["runs_trained"]) == (1, 1, 0)
    assert site.train.read_bytes() == untouched
    rows = site.rows()
    assert (rows[3]["label"], rows[3]["given_label"]) == (OTHER[3], LABELS[3])
    assert rows[3]["value"] != before["train"][3]["value"]
    excluded = rows[4]
    assert (excluded["label"], excluded["given_label"]) == (None, LABELS[4])
    assert (excluded["status"], excluded["value"], excluded["rank"]) == ("excluded", None, None)
    assert excluded["predicted"] == before["train"][4]["predicted"]
    assert sorted(r["rank"] for i, r in rows.items() if i != 4) == list(range(TRAINED - 1))
    others = [i for i in rows if i not in (3, 4)]
    same = ("name", "label", "given_label", "value", "predicted")
    assert [[rows[i][c] for c in same] for i in others] == [
        [before["train"][i][c] for c in same] for i in others
    ]
    assert {split: site.rows(split, at=1) for split in before} == before


def test_corrections_stay_in_force_and_the_same_file_changes_nothing(site, capsys):
    fixes = site.correct(f"3,train,{OTHER[3]}")
    assert site.rescore("--corrections", fixes) == 0
    files = site.files()
    assert len(site.records()) == 2  # a record and its copy
    capsys.readouterr()
    assert site.rescore() == 0
    assert site.rescore("--corrections", fixes) == 0
    assert capsys.readouterr().out.count("Nothing to do") == 2
    assert site.files() == files


def test_a_later_file_adds_replaces_and_gives_back_single_rows(site):
    first = site.correct(f"3,train,{OTHER[3]}", "4,train,exclude", f"60,train,{OTHER[60]}")
    assert site.rescore("--corrections", first) == 0
    second = site.correct(f"4,train,{OTHER[4]}", "60,train,given", f"5,train,{LABELS[5]}")
    assert site.rescore("--corrections", second) == 0
    rows = site.rows()
    changed = {
        i: (r["given_label"], r["label"]) for i, r in rows.items() if r["given_label"] is not None
    }
    assert changed == {3: (LABELS[3], OTHER[3]), 4: (LABELS[4], OTHER[4])}
    assert [c.example_id for c in in_force(site.storage, "mine")["train"]] == [3, 4]


def test_none_gives_all_labels_back_at_no_cost(site, capsys):
    before = site.rows()
    assert site.rescore("--corrections", site.correct(f"3,train,{OTHER[3]}", "0,test,exclude")) == 0
    capsys.readouterr()
    assert site.rescore("--corrections", "none") == 0
    assert "0 corrections in force" in capsys.readouterr().out
    assert site.nights()[-1]["shards_scored"] == 0
    assert site.rows() == before
    assert site.rescore("--corrections", "none") == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_names_json_lines_and_parquet_do_as_well(site, capsys):
    lines = [{"name": "digit-3", "label": OTHER[3]}, {"name": "digit-1000", "label": "exclude"}]
    fixes = site.folder / "fixes.jsonl"
    fixes.write_text("\n".join(map(json.dumps, lines)))
    assert site.night("plan", "--corrections", str(fixes)) == 0
    assert site.records() == []
    assert "labels   2 to be changed" in capsys.readouterr().out
    assert site.rescore("--corrections", str(fixes)) == 0
    assert site.rows()[3]["label"] == OTHER[3]
    assert site.rows("test")[0]["status"] == "excluded"
    back = site.folder / "back.parquet"
    table = pa.table({"example_id": [3.0, 0.0], "split": ["train", "test"], "label": ["given"] * 2})
    pq.write_table(table, back)
    assert site.rescore("--corrections", str(back)) == 0
    assert in_force(site.storage, "mine") == {"train": [], "test": []}


@pytest.mark.parametrize(
    ("lines", "complaints"),
    [
        (["999,train,1"], ["line 2: expected the id of an example, got 999 in the train split"]),
        (["3,,1"], ["line 2: expected one example, got train 3 and test 3; say which by split"]),
        (["60,test,1"], ["line 2: expected the id of an example, got 60 in the test split"]),
        (["3,train,cat"], ["line 2: expected a class (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), exclude or"]),
        (["3,train,10"], ["line 2: expected a class (0, "]),
        (["x,train,1"], ["line 2: expected an example id, got 'x'"]),
        (["3,train,"], ["line 2: expected a label, got none"]),
        ([",train,1"], ["line 2: expected an id or a name, got neither"]),
        (["3,val,1"], ["line 2: expected train or test as split, got 'val'"]),
        (
            ["3,train,1", "5,train,2", "3,train,exclude", "999,test,1"],
            [
                "line 4: expected each example once, got that of line 2 again",
                "line 5: expected the id of an example, got 999 in the test split",
            ],
        ),
    ],
)
def test_mistakes_are_named_a_line_each_and_nothing_is_applied(site, capsys, lines, complaints):
    files = site.files()
    fixes = site.correct(*lines)
    assert site.rescore("--corrections", fixes) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(complaints)
    for line, complaint in zip(said, complaints, strict=True):
        assert line.startswith(f"protoscore: error: --corrections {fixes}: {complaint}")
    assert site.files() == files


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("missing.csv", "expected a readable .csv file, got"),
        ("fixes.txt", "expected none or a file (.csv, .jsonl, .ndjson, .parquet), got"),
        ("empty.csv", "expected the columns id or name, and label, got none in"),
        ("other.csv", "expected the columns id or name, and label, got file, class in"),
        ("broken.jsonl", "expected a readable .jsonl file, got"),
        ("broken.parquet", "expected a readable .parquet file, got"),
    ],
)
def test_files_that_cannot_be_read_are_refused(site, capsys, file, complaint):
    (site.folder / "empty.csv").write_text("")
    (site.folder / "other.csv").write_text("file,class\na.png,cat\n")
    for broken in ("broken.jsonl", "broken.parquet"):
        (site.folder / broken).write_text("{")
    assert site.rescore("--corrections", str(site.folder / file)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"protoscore: error: --corrections: {complaint}")


def test_names_that_are_unknown_or_of_several_examples_are_refused(site, capsys):
    fixes = site.correct("nobody,1", header="name,label")
    assert site.rescore("--corrections", fixes) == 2
    assert "line 2: expected the name of an example, got 'nobody'" in capsys.readouterr().err


def test_a_row_that_is_gone_is_refused(site, tmp_path, capsys):
    site.train = write_digits(tmp_path / "train.parquet", slice(0, TRAINED - 10))
    fixes = site.correct(f"{TRAINED - 1},train,1")
    assert site.rescore("--corrections", fixes) == 2
    said = capsys.readouterr().err
    assert "; the train split had it, but the source has it no more" in said


def test_a_first_night_has_no_examples_to_correct(in_process, tmp_path, capsys):
    site = Site(tmp_path)
    write_digits(site.train, slice(0, 50))
    write_digits(site.test, slice(50, 70))
    assert site.rescore("--corrections", site.correct("3,train,1")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected an example that the store holds, got one in a file that is new" in line
    assert not Path(site.uri).exists() or site.files() == {}


def test_an_excluded_row_is_not_trained_on_and_only_changed_rows_count(site, capsys):
    fixes = site.correct(f"3,train,{OTHER[3]}", "4,train,exclude")
    share = 2 / (TRAINED + TESTED)
    assert (
        site.rescore("--models", f"retrain-if-changed={share + 0.001}", "--corrections", fixes) == 0
    )
    assert site.nights()[-1]["runs_trained"] == 0
    assert site.rescore("--models", f"retrain-if-changed={share}") == 0
    night = site.nights()[-1]
    assert night["runs_trained"] > 0
    runs = Store(site.uri).sql(
        f"select rows from runs where night_id = '{night['night_id']}' and kind = 'plain' "
        "and subset = 1"
    )
    assert {*runs["rows"].to_pylist()} == {TRAINED - 1}
    capsys.readouterr()
    assert site.rescore("--models", f"retrain-if-changed={share}") == 0
    assert "Nothing to do" in capsys.readouterr().out


def accuracy(rows: dict[int, dict], labels: Sequence[int | None]) -> float:
    known = [(rows[i]["predicted"], label) for i, label in enumerate(labels) if label is not None]
    return sum(a == b for a, b in known) / len(known)


def test_history_and_diff_say_what_was_corrected_and_what_it_was_worth(site, capsys):
    before = site.rows("test")
    given = [before[i]["label"] for i in range(TESTED)]
    wrong = [i for i in range(TESTED) if before[i]["predicted"] != given[i]]
    now: list[int | None] = [*given]
    now[wrong[0]], now[wrong[1]] = before[wrong[0]]["predicted"], None
    fixes = site.correct(f"{wrong[0]},test,{now[wrong[0]]}", f"{wrong[1]},test,exclude")
    assert site.rescore("--corrections", fixes) == 0
    first, second = site.nights()
    assert first["test_accuracy"] == pytest.approx(accuracy(before, given))
    assert second["test_accuracy"] == pytest.approx(accuracy(site.rows("test"), now))
    assert (second["corrected"], second["excluded"]) == (1, 1)
    train, labels = Store(site.uri).relabelled(1, 2).to_pylist()
    assert (train["split"], train["corrected"], train["excluded"]) == ("train", 0, 0)
    assert train["accuracy_before"] == train["accuracy"]
    assert (labels["split"], labels["corrected"], labels["excluded"]) == ("test", 1, 1)
    assert labels["given_back"] == 0
    assert labels["accuracy_before"] == pytest.approx(first["test_accuracy"])
    assert labels["accuracy_before_as_labelled_now"] == pytest.approx(accuracy(before, now))
    assert labels["accuracy"] == pytest.approx(second["test_accuracy"])
    assert Store(site.uri).relabelled(2, 1)["given_back"].to_pylist() == [0, 2]
    capsys.readouterr()
    where = ("--store", site.uri)
    assert main(["history", *where]) == 0
    assert "test_accuracy" in capsys.readouterr().out
    assert main(["diff", "--from", "1", "--to", "2", "--show", "labels", *where]) == 0
    assert "accuracy_before_as_labelled_now" in capsys.readouterr().out
    assert main(["outliers", "--metric", "aum", "--split", "test", "-n", "50", *where]) == 0
    assert "given_label_name" in capsys.readouterr().out


def test_an_export_of_corrections_is_read_again(site, capsys):
    fixes = site.correct(f"3,train,{OTHER[3]}", "4,train,exclude", "0,test,exclude")
    assert site.rescore("--corrections", fixes) == 0
    file = site.folder / "labels.csv"
    assert main(["export", "--to", "corrections", "--output", str(file), "--store", site.uri]) == 0
    assert "3 examples of mine" in capsys.readouterr().out
    rows = [line.replace('"', "").split(",") for line in file.read_text().splitlines()]
    assert rows[0] == ["split", "example_id", "name", "label", "given_label"]
    assert rows[1] == ["train", "3", "digit-3", str(OTHER[3]), str(LABELS[3])]
    assert rows[2] == ["train", "4", "digit-4", "exclude", str(LABELS[4])]
    assert rows[3][:4] == ["test", "0", "digit-1000", "exclude"]
    before = in_force(site.storage, "mine")
    files = site.files()
    (site.folder / "none.csv").write_text(f"{','.join(rows[0])}\n")  # an export without corrections
    assert site.rescore("--corrections", str(site.folder / "none.csv")) == 0
    assert site.rescore("--corrections", str(file)) == 0
    assert site.files() == files
    assert site.rescore("--corrections", "none") == 0
    assert site.rescore("--corrections", str(file)) == 0
    assert in_force(site.storage, "mine") == before
    table = site.folder / "scores.csv"
    assert main(["export", "--to", "csv", "--output", str(table), "--store", site.uri]) == 0
    assert "given_label_name" in table.read_text().splitlines()[0]


def test_a_correction_is_about_one_example_not_about_its_place(site, tmp_path, capsys):
    assert (
        site.rescore("--corrections", site.correct(f"3,train,{OTHER[3]}", "60,train,exclude")) == 0
    )
    rows = pq.read_table(site.train).to_pylist()
    rows[3]["image"], rows[3]["label"] = rows[7]["image"], rows[7]["label"]
    site.train = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), site.train)
    capsys.readouterr()
    assert site.rescore("--replace") == 0
    assert site.rescore("--replace") == 0
    assert "labels   1 excluded, 1 of no effect, as the source" in capsys.readouterr().out
    scored = site.rows()
    assert (scored[3]["label"], scored[3]["given_label"]) == (LABELS[7], None)
    assert scored[60]["status"] == "excluded"


def test_a_night_that_dies_after_it_kept_corrections_is_completed_by_the_next(site, monkeypatch):
    def fail(*_: object) -> None:
        raise Outage("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ingest_module, "write_shard", fail)
        assert site.rescore("--corrections", site.correct(f"3,train,{OTHER[3]}")) == 5
    assert site.rows()[3]["label"] == LABELS[3]
    assert site.rescore() == 0
    assert site.rows()[3]["label"] == OTHER[3]


def test_a_correction_to_a_class_that_vanished_is_named_until_it_is_given_back(
    site, tmp_path, capsys
):
    assert site.rescore("--corrections", site.correct("3,train,9")) == 0
    rows = [row for row in pq.read_table(site.train).to_pylist() if row["label"] != 9]
    site.train = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), site.train)
    rows = [row for row in pq.read_table(site.test).to_pylist() if row["label"] != 9]
    site.test = tmp_path / "test.parquet"
    pq.write_table(pa.Table.from_pylist(rows), site.test)
    capsys.readouterr()
    assert site.rescore("--models", "retrain") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected the class '9', to which train example 3 was corrected, got a source" in line
    assert site.rescore("--models", "retrain", "--replace", "--corrections", "none") == 0


def test_a_forgotten_example_leaves_no_correction(site, capsys):
    fixes = site.correct(f"3,train,{OTHER[3]}", "4,train,exclude", f"60,train,{OTHER[60]}")
    assert site.rescore("--corrections", fixes) == 0
    ids = site.folder / "ids.txt"
    ids.write_text("4\n")
    assert main(["forget", "--ids", str(ids), "--split", "train", "--store", site.uri]) == 0
    assert [c.example_id for c in in_force(site.storage, "mine")["train"]] == [3, 60]
    assert main(["verify", "--store", site.uri]) == 0
    rows = site.rows()
    assert 4 not in rows
    assert (rows[3]["label"], rows[3]["given_label"]) == (OTHER[3], LABELS[3])
    capsys.readouterr()
    assert site.rescore() == 0
    assert "ingest: " not in capsys.readouterr().err
    assert {i for i, row in site.rows().items() if row["given_label"] is not None} == {3, 60}
    assert site.rescore() == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert main(["vacuum", "--older-than-days", "0", "--store", site.uri]) == 0
    assert len(in_force(site.storage, "mine")["train"]) == 2
