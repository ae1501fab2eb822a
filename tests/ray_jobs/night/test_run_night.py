"""Nights whose runs fail or whose hours end: what is complete is published, the rest goes on."""

import re
import time
from pathlib import Path

import in_process
import pytest
from small_plans import SMALL, plan_of

from scoring.errors import TrainingDiverged
from scoring.runs.train_one import train_run
from scoring.tables import Store

LATE = ("--max-hours", "1e-9")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def failing(monkeypatch):
    """The runs that fail, as a list of functions of a spec; empty: none."""
    wanted = []

    def train(storage, run, *args, **kwargs):
        if any(matches(run.spec) for matches in wanted):
            raise TrainingDiverged("loss is nan")
        return train_run(storage, run, *args, **kwargs)

    monkeypatch.setattr(in_process, "train_run", train)
    return wanted


def is_pair(spec):
    return spec.kind == "finetuned"


def is_member(spec):
    return spec.seed >= 1000


def is_plain(spec):
    return spec.kind == "plain"


def is_not_plain(spec):
    return spec.kind != "plain"


def published(store):
    return store.sql("select distinct metric from scores order by 1")["metric"].to_pylist()


def nights(store):
    return store.sql("select * from nights order by started_at").to_pylist()


def files(store, pattern):
    return {path: path.stat().st_mtime_ns for path in Path(store.uri).glob(pattern)}


def artefacts(store):
    return files(store, "runs/*/run.json") | files(store, "staging/*/*")


def test_a_metric_whose_runs_failed_is_left_out_and_made_by_the_next_night(
    rescore, store, failing, capsys
):
    flags = (*SMALL, "--metrics", "msp", "ret")
    failing.append(is_pair)
    assert rescore(*flags) == 3
    said = capsys.readouterr().err
    assert "run failed: finetuned test small_cnn x1 seed=0: loss is nan" in said
    assert re.fullmatch(
        r"protoscore: error: expected 12 runs, 6 failed after retries \(finetuned .*\); "
        "not published: ret; run the same command again to go on",
        said.splitlines()[-1],
    )
    assert published(store) == ["msp"]
    (night,) = nights(store)
    assert (night["metrics"], night["runs_trained"]) == (["msp"], 1)
    before = artefacts(store)
    failing.clear()
    assert rescore(*flags) == 0
    assert published(store) == ["msp", "ret"]
    assert before.items() <= artefacts(store).items()
    night = nights(store)[1]
    assert (night["metrics"], night["runs_trained"], night["runs_reused"]) == (["ret"], 6, 6)
    assert (night["shards_scored"], night["shards_reused"]) == (3, 6)


def test_without_an_ensemble_classes_are_predicted_by_the_base_run_until_it_is_there(
    rescore, store, failing
):
    flags = (*SMALL, "--metrics", "msp", "agr")
    failing.append(is_member)
    assert rescore(*flags) == 3
    assert published(store) == ["msp"]
    (night,) = nights(store)
    assert night["shards_scored"] == len(files(store, "staging/*/*")) == 6
    assert night["shards_reused"] == 0
    by_base = store.scores(metric="msp")
    failing.clear()
    assert rescore(*flags) == 0
    by_ensemble = store.scores(metric="msp")
    assert by_ensemble["predicted"] != by_base["predicted"]
    assert by_ensemble["value"] == by_base["value"]
    assert nights(store)[1]["metrics"] == ["agr", "msp"]


@pytest.mark.parametrize(
    ("metrics", "failed", "reason"),
    [
        (("msp",), is_plain, "expected 1 run, 1 failed after retries (plain train"),
        (("priv", "agr"), is_member, "expected 14 runs, 14 failed after retries (plain train"),
        (("ret", "priv"), is_not_plain, "expected 20 runs, 14 failed after retries (finetuned"),
    ],
)
def test_nothing_is_published_without_a_metric(
    rescore, store, failing, capsys, metrics, failed, reason
):
    failing.append(failed)
    assert rescore(*SMALL, "--metrics", *metrics) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"protoscore: error: {reason}")
    assert said.endswith("; nothing was published")
    assert not Path(store.uri, "tables").exists()


def test_nothing_is_published_without_a_run_to_predict_by(rescore, store, failing, capsys):
    failing.append(is_plain)
    assert rescore(*SMALL, "--metrics", "priv", "--splits", "test") == 4
    said = capsys.readouterr().err
    assert "; nothing was published, because they predict the classes" in said
    assert not Path(store.uri, "tables").exists()


def test_metrics_that_are_current_leave_nothing_to_publish(rescore, store, failing, capsys):
    assert rescore(*SMALL, "--metrics", "msp") == 0
    before = store.scores()
    capsys.readouterr()
    failing.append(is_pair)
    assert rescore(*SMALL, "--metrics", "msp", "ret", "--splits", "test") == 3
    said = capsys.readouterr()
    assert "not published: ret" in said.err
    assert "" not in said.out.splitlines()
    assert "Published" not in said.out
    assert store.scores() == before
    assert len(nights(store)) == 1


def test_a_night_without_time_ingests_nothing(rescore, store, capsys):
    assert rescore(*SMALL, "--metrics", "msp", *LATE) == 4
    assert "--max-hours: time ran out with 0 of 3 shards ingested" in capsys.readouterr().err
    assert not Path(store.uri, "tables").exists()


@pytest.fixture
def clock(monkeypatch):
    """End a night's hours when a stage of the engine ends; returns the function that says which."""
    hours = ("--max-hours", "1")

    def end_after(stage):
        work, now = getattr(in_process.InProcessEngine, stage), time.time

        def last(*args, **kwargs):
            done = work(*args, **kwargs)
            monkeypatch.setattr(time, "time", lambda: now() + 2 * 3600)
            return done

        monkeypatch.setattr(in_process.InProcessEngine, stage, last)
        return hours

    return end_after


def test_a_night_that_ends_before_training_publishes_nothing(rescore, store, clock, capsys):
    assert rescore(*SMALL, "--metrics", "msp", *clock("make_shards")) == 4
    said = capsys.readouterr().err
    assert "--max-hours: time ran out with 0 of 1 runs trained; nothing was published" in said
    assert files(store, "runs/*/run.json") == {}
    assert plan_of(store.uri, "--metrics", "msp").versions["train"].rows == 100


def test_a_night_that_ends_after_training_scores_nothing(rescore, store, clock, capsys):
    assert rescore(*SMALL, "--metrics", "msp", *clock("train")) == 4
    said = capsys.readouterr().err
    assert "--max-hours: time ran out; nothing was published" in said
    assert len(files(store, "runs/*/run.json")) == 1
    assert files(store, "staging/*/*") == {}


def test_a_night_that_ends_as_all_is_scored_publishes_all(rescore, store, clock):
    assert rescore(*SMALL, "--metrics", "msp", *clock("score")) == 0
    assert published(store) == ["msp"]


def test_a_night_out_of_time_publishes_what_is_staged(rescore, store, capsys):
    flags = (*SMALL, "--metrics", "msp", "gradient_norm")
    assert rescore(*SMALL, "--metrics", "msp", "--as", "before") == 0
    before = artefacts(store)
    capsys.readouterr()
    assert rescore(*flags, *LATE) == 3
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == (
        "protoscore: error: --max-hours: time ran out; not published: gradient_norm; run the same "
        "command again to go on"
    )
    assert "Published 2 partitions of digits, 150 rows, as version 2" in said.out
    assert artefacts(store) == before
    assert rescore(*flags) == 0
    found = store.sql("select distinct metric from scores where dataset = 'digits' order by 1")
    assert found["metric"].to_pylist() == ["gradient_norm", "msp"]
    assert [night["shards_scored"] for night in nights(store)] == [6, 0, 3]


def test_scores_are_not_published_without_the_predictions_that_belong_to_them(
    rescore, store, capsys
):
    """What is left may be predicted by another run, and that is not staged."""
    assert rescore(*SMALL, "--metrics", "agr", "msp") == 0
    before = store.scores()
    capsys.readouterr()
    assert rescore(*SMALL, "--metrics", "msp", "conf", *LATE) == 4
    assert "time ran out; nothing was published" in capsys.readouterr().err
    assert store.scores() == before


def test_a_second_night_does_nothing(rescore, store, capsys):
    flags = (*SMALL, "--metrics", "ret")
    assert rescore(*flags) == 0
    before = artefacts(store) | files(store, "tables/**/*")
    capsys.readouterr()
    assert rescore(*flags) == 0
    said = capsys.readouterr()
    assert "Nothing to do" in said.out
    assert said.err == ""
    assert artefacts(store) | files(store, "tables/**/*") == before


def test_runs_are_shared_by_what_is_published_under_several_names(rescore, store):
    assert rescore(*SMALL, "--metrics", "msp") == 0
    before = artefacts(store)
    assert rescore(*SMALL, "--metrics", "msp", "--as", "again") == 0
    assert artefacts(store) == before
    one, other = (store.scores(dataset=name) for name in ("digits", "again"))
    assert one.drop_columns("dataset") == other.drop_columns("dataset")


def test_other_settings_with_replace_retrain_and_take_the_place_of_what_was_published(
    rescore, store
):
    flags = (*SMALL, "--metrics", "msp")
    assert rescore(*flags) == 0
    assert rescore(*flags, "--seed", "1") == 2
    assert len(files(store, "runs/*/run.json")) == 1
    assert rescore(*flags, "--seed", "1", "--replace") == 0
    assert len(files(store, "runs/*/run.json")) == 2
    assert len(store.scores()) == 150
    bases = {run.key for run in plan_of(store.uri, "--metrics", "msp", "--seed", "1").runs}
    (now,) = {row["run_key"] for row in store.sql(_LAST).to_pylist()}
    assert {now} == bases


_LAST = "select run_key from runs join nights using (night_id) order by started_at desc limit 1"


def test_alterations_of_a_dataset_take_each_others_name_with_replace(rescore, store):
    """Runs of the one are no runs of the other, whatever their settings."""
    flags = (*SMALL, "--metrics", "msp", "--as", "changed")
    assert rescore(*flags, "--relabel", "0.2") == 0
    assert rescore(*flags, "--relabel", "0.3", "--replace") == 0
    assert [night["runs_trained"] for night in nights(store)] == [1, 1]
