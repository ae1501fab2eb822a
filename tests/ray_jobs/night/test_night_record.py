"""The rows of `nights` and `runs`, also where a job died after its commit."""

import json
from dataclasses import replace

import pytest
from in_process import jobs_in_process, rescoring
from small_plans import SMALL

from ray_jobs.night.night_record import record_nights, run_columns
from scoring.run_spec import Privacy
from scoring.runs.record import load_record, load_records
from scoring.store.records import read_json, write_record
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("--metrics", "ret")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """The tables of one night with fine-tuned runs."""
    store = str(tmp_path_factory.mktemp("night") / "store")
    with jobs_in_process():
        assert rescoring(store)(*SMALL, *METRICS, "--date", "2026-03-01") == 0
    return Store(store), Storage(store)


def test_a_night_is_recorded_with_what_it_made(night):
    store, _ = night
    (row,) = store.nights().to_pylist()
    assert row["dataset"] == "digits"
    assert row["date"].isoformat() == "2026-03-01"
    assert row["metrics"] == ["ret"]
    assert (row["runs_trained"], row["runs_reused"]) == (3 * 2 + 3 * 2, 0)
    assert (row["shards_scored"], row["shards_reused"]) == (3 * 2, 0)
    assert row["rows"] == 150
    assert row["commit_version"] == 1
    assert row["command"].startswith("protoscore rescore --store")
    assert 0 < row["seconds"] <= (row["finished_at"] - row["started_at"]).total_seconds() + 1


def test_every_run_has_a_row_that_says_what_its_record_says(night):
    store, storage = night
    rows = {row["run_key"]: row for row in store.runs().to_pylist()}
    for record in load_records(storage, rows):
        row = rows[record.key]
        assert row["epsilon_spent"] == record.epsilon
        assert row["train_accuracy"] == record.train_accuracy
        assert (row["rows"], row["epochs"]) == (record.rows, record.epochs)
        assert row["trained_at"].isoformat() == record.trained_at
        assert (row["kind"], row["split"], row["seed"]) == (
            record.kind,
            record.split,
            record.spec.seed,
        )
        assert json.loads(row["recipe"])["batch_rows"] == record.spec.recipe.batch_rows


def test_only_private_runs_have_a_budget(night):
    store, storage = night
    for row in store.runs().to_pylist():
        assert (row["epsilon_target"], row["epsilon_spent"], row["delta"]) == (None, None, None)
    (key, *_) = store.runs()["run_key"].to_pylist()
    record = load_record(storage, key)
    private = replace(record.spec, kind="private", privacy=Privacy(epsilon=2.0, delta=1e-5))
    assert (
        run_columns(private, replace(record, epsilon=1.9)).items()
        >= {
            "kind": "private",
            "epsilon_target": 2.0,
            "epsilon_spent": 1.9,
            "delta": 1e-5,
        }.items()
    )


def test_a_recorded_night_is_recorded_once(night):
    store, storage = night
    before = store.nights(), store.runs()
    record_nights(storage, "digits")
    assert (store.nights(), store.runs()) == before


def die(*_):
    raise OSError("the node died")


@pytest.fixture
def died(rescore, tmp_path, monkeypatch):
    """A store whose only night died between its commit and its record."""
    with monkeypatch.context() as patch:
        patch.setattr("ray_jobs.night.publish_night.record_nights", die)
        assert rescore(*SMALL, "--metrics", "msp") == 1
    store = Store(str(tmp_path / "store"))
    assert len(store.scores()) == 150
    assert len(store.nights()) == len(store.runs()) == 0
    return store


def test_a_night_that_died_after_its_commit_is_recorded_by_the_next(died, rescore, capsys):
    assert rescore(*SMALL, "--metrics", "msp") == 0
    assert "Nothing to do" in capsys.readouterr().out
    (row,) = died.nights().to_pylist()
    assert row["commit_version"] == 1
    assert (row["runs_trained"], row["shards_scored"]) == (1, 6)
    assert died.runs()["night_id"].to_pylist() == [row["night_id"]]


def test_a_night_that_died_is_recorded_with_the_next_that_publishes(died, rescore):
    assert rescore(*SMALL, "--metrics", "msp", "gradient_norm") == 0
    rows = died.sql("select * from nights order by started_at").to_pylist()
    assert [row["metrics"] for row in rows] == [["msp"], ["gradient_norm"]]
    assert [row["commit_version"] for row in rows] == [1, 2]
    assert died.runs()["reused"].to_pylist().count(False) == 1


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("night", {"rows": "many"}),
        ("night", {"night_id": None, "later": 1}),
        ("night", {"date": "tomorrow"}),
        ("night", {"rows": 2**62 * 2 - 1, "seconds": "1"}),
    ],
)
def test_a_record_that_does_not_fit_is_named_and_passed_over(
    died, rescore, tmp_path, caplog, part, changes
):
    storage = Storage(str(tmp_path / "store"))
    (name,) = storage.names("nights")
    record = read_json(storage, f"nights/{name}")
    write_record(storage, f"nights/{name}", {**record, part: {**record[part], **changes}})
    assert rescore(*SMALL, "--metrics", "msp", "gradient_norm") == 0
    assert f"expected a night in nights/{name}, got nights: " in caplog.text
    assert [row["metrics"] for row in died.nights().to_pylist()] == [["gradient_norm"]]
    assert len({*died.runs()["night_id"].to_pylist()}) == 1


def test_nights_of_other_datasets_are_not_touched(died, tmp_path):
    record_nights(Storage(str(tmp_path / "store")), "another")
    assert len(died.nights()) == 0
