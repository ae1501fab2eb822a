"""Whole nights, small enough to take seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ray_jobs.cli import main
from ray_jobs.engine import engine
from ray_jobs.night.request import check
from ray_jobs.night.run import assess_and_plan, ingest_and_plan
from ray_jobs.terminal.night_flags import NightFlags, parse
from scoring.data.versions import load_version
from scoring.registry import metrics
from scoring.store.storage import Storage
from scoring.tables import Store

Rescore = Callable[..., int]
DIGITS = ("--limit-train", "200", "--limit-test", "100", "--shard-rows", "100")


def contents(folder: Path) -> dict[Path, int]:
    """Files and when they were written, jobs' own records aside."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "jobs")
    return {path: path.stat().st_mtime_ns for path in files}


def test_every_metric_scores_every_example_once_and_only_once(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rescore(*DIGITS) == 0
    store = Store(str(tmp_path / "store"))
    for split, rows in (("train", 200), ("test", 100)):
        for name in metrics():
            table = store.scores(split=split, metric=name)
            assert sorted(table["example_id"].to_pylist()) == list(range(rows)), name
            ranks = [r for r in table["rank"].to_pylist() if r is not None]
            unranked = (split, name) == ("test", "memorisation")  # no model saw these
            assert sorted(ranks) == ([] if unranked else list(range(rows))), name
            assert table["predicted"].null_count == 0
            reasons = table["status"].to_pylist()
            for value, reason in zip(table["value"].to_pylist(), reasons, strict=True):
                assert (value is None) == (reason is not None)
    assert len(store.nights()) == 1
    kinds = store.runs()["kind"].to_pylist()
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "plain": 12,
        "finetuned": 6,
        "private": 8,
        "representer": 1,
    }
    for metric in ("ret", "conf"):
        spread = store.scores(metric=metric)["spread"].to_numpy()
        assert np.all(spread >= 0)

    before = contents(tmp_path)
    capsys.readouterr()
    assert rescore(*DIGITS) == 0
    printed = capsys.readouterr().out
    assert "Nothing to do: no run to train, no shard to score, nothing to commit" in printed
    assert contents(tmp_path) == before


def test_plan_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--store", str(tmp_path / "store"), *DIGITS]) == 0
    printed = capsys.readouterr().out
    assert "train    27 of 27 runs: 6 finetuned, 12 plain, 8 private, 1 representer" in printed
    results = 3 * (len(metrics()) + 2)  # and predicted classes and probabilities
    assert f"score    {results} of {results} shard results" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [200, 100])
def test_shards_that_are_all_there_still_become_a_version(
    in_process: None, tmp_path: Path, rows: int
) -> None:
    """A night may end after its last shard, and another take a part of its shards."""
    store = str(tmp_path / "store")
    assert main(["ingest", "--dataset", "digits", *DIGITS, "--store", store]) == 0
    for path in (tmp_path / "store" / "datasets" / "digits" / "train").glob("*.json"):
        path.unlink()
    args = [*DIGITS, "--store", store, "--limit-train", str(rows)]
    request = check(*parse(args, "rescore", "", NightFlags), writable=True)
    situation, plan = assess_and_plan(request)
    assert not situation.to_ingest
    with engine(request.flags.machine) as cluster:
        assert ingest_and_plan(cluster, situation, plan) == plan
    for split, version in plan.versions.items():
        assert load_version(Storage(store), "digits", split, version.version) == version
    assert plan.versions["train"].rows == rows


def test_a_split_alone_costs_and_publishes_itself(rescore: Rescore, tmp_path: Path) -> None:
    flags = (*DIGITS, "--metrics", "msp", "ret")
    assert rescore(*flags, "--splits", "test") == 0
    store = Store(str(tmp_path / "store"))
    scored = store.scores(columns=["split", "metric"]).group_by(["split", "metric"])
    assert {tuple(row.values()) for row in scored.aggregate([]).to_pylist()} == {
        ("test", "msp"),
        ("test", "ret"),
    }
    before = contents(tmp_path / "store" / "staging")
    assert len(store.runs()) == 7  # three pairs and the base run, which one of them began as
    assert rescore(*flags) == 0
    assert store.scores(split="train", metric="ret").num_rows == 200
    assert before.items() <= contents(tmp_path / "store" / "staging").items()
    assert store.sql("select sum(rows) from nights")[0].to_pylist() == [2 * 100 + 2 * 200]


def test_other_settings_never_replace_in_silence(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--limit-train", "100", "--limit-test", "50", "--metrics", "adv_steps")
    assert rescore(*flags) == 0
    capsys.readouterr()
    others = {
        "--net: expected small_cnn": (*flags, "--net", "mlp"),
        "--limit-test: expected 50": (*flags[:3], "40", *flags[4:]),
        "--adv-steps.step: expected 0.002": (*flags, "--adv-steps.step", "0.01"),
    }
    for message, command in others.items():
        assert rescore(*command) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "--replace" in error
        assert len(error.splitlines()) == 1
    store = Store(str(tmp_path / "store"))
    before = store.scores(dataset="digits")
    assert rescore(*flags, "--net", "mlp", "--as", "digits-mlp") == 0
    assert store.scores(dataset="digits").equals(before)
    assert len(store.scores(dataset="digits-mlp")) == 150
    assert rescore(*flags, "--net", "mlp", "--replace") == 0
    values = store.scores(dataset="digits")["value"].to_pylist()
    assert values != before["value"].to_pylist()
    assert values == store.scores(dataset="digits-mlp")["value"].to_pylist()


def test_budgets_change_no_value(rescore: Rescore, tmp_path: Path) -> None:
    flags = ("--limit-train", "120", "--limit-test", "60", "--metrics", "conf", "agr")
    tight = ("--train-memory-gb", "1e-6", "--cache-memory-gb", "1e-6", "--outputs-gb", "1e-9")
    assert rescore(*flags) == 0
    assert rescore(*flags, *tight, store=tmp_path / "tight") == 0
    wide, narrow = Store(str(tmp_path / "store")), Store(str(tmp_path / "tight"))
    assert not (tmp_path / "tight" / "outputs").exists()
    for metric in ("conf", "agr"):
        a, b = wide.scores(metric=metric), narrow.scores(metric=metric)
        columns = ["example_id", "value", "rank", "predicted", "score_key"]
        assert a.select(columns).equals(b.select(columns))
