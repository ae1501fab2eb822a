"""How long a night will take: at rates made up, and at those of earlier nights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from in_process import InProcessEngine, jobs_in_process, rescoring
from small_plans import SMALL, forecast_of

from ray_jobs.cli import main
from ray_jobs.jobs.account import Account
from ray_jobs.jobs.job_record import load_jobs
from ray_jobs.jobs.pace import Pace, training_amount, training_kind, weigh
from ray_jobs.night.account import STAGES
from ray_jobs.night.cluster_shape import ClusterShape, expected_shape, shared, slots
from ray_jobs.night.estimate import Rates, earlier_rates, estimate
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.errors import IncompleteError
from scoring.runs.fleet import Hardware
from scoring.store.storage import Storage

ONE_CPU = ("--cpus", "1")


def paces(*rates):
    """Seconds of a worker for each unit, by kind."""
    return {kind: Pace(kind=kind, amount=10.0, seconds=10 * each) for kind, each in rates}


def shape(cpus, gpus=0.0):
    return ClusterShape(cpus=float(cpus), gpus=float(gpus))


def test_a_night_worked_out_by_hand(tmp_path):
    ahead = forecast_of(tmp_path / "empty", "--metrics", "conf")
    assert [run.net.width for run in ahead.runs] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    widths = ((f"plain small_cnn x{run.net.width:g}", run.net.width) for run in ahead.runs)
    rates = Rates(
        paces=paces(("ingest", 0.1), ("score", 0.01), *widths),
        waits={"ingest": 3.0, "train": 7.0, "score": 2.0, "other": 11.0, "elsewhere": 100.0},
        basis="magic",
    )
    taken = estimate(ahead, shape(2), rates)
    epochs = ahead.runs[0].recipe.epochs_for(66)  # two thirds of 100 rows
    passes = epochs * (66 + 100 / 3 / 3)  # a third is looked at, in a third of the passes
    assert taken.seconds == {
        "ingest": pytest.approx(3 + 2 * 5),  # three shards of 50 rows on two CPUs
        "train": pytest.approx(7 + passes * 4.5 / 2),  # widths add up to 4.5
        "score": pytest.approx(2 + 2 * 3),  # three shards of 50 rows, six runs each
        "other": 11.0,
    }
    assert taken.hours == pytest.approx(sum(taken.seconds.values()) / 3600)
    alone = estimate(ahead, shape(100), rates)
    assert alone.seconds["train"] == pytest.approx(7 + passes * 1.0)  # as the widest
    assert alone.seconds["score"] == pytest.approx(2 + 3)


def test_what_was_never_done_is_unknown(tmp_path):
    ahead = forecast_of(tmp_path / "empty", "--metrics", "conf", "ret", "priv")
    rates = Rates(paces=paces(("ingest", 0.1), ("plain small_cnn x1", 1.0)), waits={}, basis="x")
    taken = estimate(ahead, shape(1), rates)
    assert taken.seconds["ingest"] == pytest.approx(15)
    assert taken.seconds["train"] is taken.seconds["score"] is None  # nobody trained privately
    assert taken.hours is None


def test_other_widths_and_fine_tuning_go_like_what_was_trained(tmp_path):
    ahead = forecast_of(tmp_path / "empty", "--metrics", "ret", "priv", "agr")
    by_kind = {run.kind: run for run in ahead.runs}
    known = ("plain small_cnn x1", 1.0), ("plain small_cnn x2", 3.0), ("private small_cnn x1", 9.0)
    rates = Rates(paces=paces(*known), waits={}, basis="x")
    for run in ahead.runs:
        amount = training_amount(run, 100)
        widths = {1.0: 1.0, 2.0: 3.0}
        each = {"private": 9.0, "finetuned": 1.0, "plain": widths.get(run.net.width, 2.0)}
        assert rates.training_seconds(run, 100) == pytest.approx(amount * each[run.kind])
    other = replace(by_kind["plain"], net=replace(by_kind["plain"].net, name="small_cnn_of_mine"))
    assert rates.training_seconds(other, 100) is None
    tuned = paces(*known, ("finetuned small_cnn x1", 0.5))
    amount = training_amount(by_kind["finetuned"], 100)
    measured = replace(rates, paces=tuned).training_seconds(by_kind["finetuned"], 100)
    assert measured == pytest.approx(0.5 * amount)


def test_a_night_without_work_takes_no_time(ingested):
    ahead = forecast_of(ingested, "--metrics", "msp")
    done = replace(ahead, missing_runs=(), shards_to_score=0)
    rates = Rates(paces={}, waits={"other": 5.0}, basis="x")
    assert estimate(done, shape(1), rates).seconds == {}


@pytest.mark.parametrize(
    ("device", "at_once"),
    [
        ("cpu", {"ingest": 16, "train": 8, "features": 16, "score": 16}),
        ("cuda", {"ingest": 16, "train": 8, "features": 6, "score": 6}),
    ],
)
def test_workers_at_once(device, at_once):
    machine = MachineFlags(gpus_per_run=0.25, gpus_per_scorer=0.5)
    assert slots(machine, Hardware(device=device, threads=2), shape(16, 3)) == at_once


def test_at_least_one_worker():
    at_once = slots(MachineFlags(), Hardware(device="cuda", threads=8), shape(2, 0))
    assert set(at_once.values()) == {1, 2}


@pytest.mark.parametrize(("units", "took"), [(0, 0), (1, 12), (2, 6), (3, 8), (4, 6), (12, 6)])
def test_units_are_shared_whole(units, took):
    assert shared(12.0, units, 2) == pytest.approx(took)


def account(cpus, gpus=0.0, **changes):
    fields = {"net": "small_cnn", "examples": "8x8x1", "device": "cpu", "usd": None}
    return Account(
        **{**fields, "paces": (), "waits": {}, "cpu_hours": 1.0, "gpu_hours": 0.0, **changes},
        cpus=cpus,
        gpus=gpus,
    )


def test_a_cluster_elsewhere_is_taken_to_be_the_last_one(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    earlier = [account(64.0), account(15.99987, 4.00001)]
    assert expected_shape(MachineFlags(cpus=3), earlier).cpus == 3
    assert expected_shape(MachineFlags(address="head:6379"), earlier) == shape(16, 4)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert expected_shape(MachineFlags(), earlier) == shape(16, 4)
    assert expected_shape(MachineFlags(cpus=3), []).cpus == 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two nights, and the account of each."""
    store = str(tmp_path_factory.mktemp("nights") / "store")
    with jobs_in_process():
        rescore = rescoring(Path(store))
        for metric in ("msp", "ret"):
            assert rescore(*SMALL, "--metrics", metric, "--usd-per-cpu-hour", "2") == 0
    return store, [job.account for job in load_jobs(Storage(store))]


def test_nights_account_for_their_work(store):
    first, second = store[1]
    assert (first.net, first.examples, first.device) == ("small_cnn", "8x8x1", "cpu")
    assert (first.cpus, first.gpus) == (pytest.approx(1.0), 0.0)
    assert first.usd == pytest.approx(2 * first.cpu_hours)
    amounts = {pace.kind: pace.amount for pace in first.paces}
    plain, tuned = "plain small_cnn x1", "finetuned small_cnn x1"
    assert amounts.keys() == {"ingest", "score", plain}
    assert amounts["ingest"] == 150
    assert amounts["score"] == 2 * 150  # for the metric and for the prediction
    assert {pace.kind for pace in second.paces} == {"score", plain, tuned}
    assert set(first.waits) == {*STAGES, "other"}
    assert all(pace.seconds > 0 for pace in (*first.paces, *second.paces))


def test_work_is_done_as_forecast(store, tmp_path):
    """So that the pace of a night is that of the work which the next one forecasts."""
    _, (first, second) = store
    before = forecast_of(tmp_path / "empty", "--metrics", "msp")
    amounts = {pace.kind: pace.amount for pace in first.paces}
    (base,) = before.missing_runs
    assert amounts["score"] == weigh(before.passes)
    assert amounts[training_kind(base)] == training_amount(base, 100)
    later = forecast_of(tmp_path / "empty", "--metrics", "ret")
    kinds = {"plain", "finetuned"}
    trained = [run for run in later.missing_runs if run != base and run.kind in kinds]
    rows = {"train": 100, "test": 50}
    assert {run.looked_at(rows) for run in trained} == {0, 50, 100}  # pairs, the other split
    done = sum(pace.amount for pace in second.paces if pace.kind != "score")
    assert done == sum(
        training_amount(run, rows[run.split], run.looked_at(rows)) for run in trained
    )


def test_the_next_night_goes_as_earlier_ones_went(store):
    uri, accounts = store
    more = ("--models", "retrain", "--limit-train", "200", "--metrics", "ret", "--replace")
    ahead = forecast_of(uri, *ONE_CPU, *more)
    found, rates = earlier_rates(ahead)
    assert found == shape(1)
    assert rates.basis == "2 earlier nights on 1 CPU"
    measured = [pace for account in accounts for pace in account.paces if pace.kind == "score"]
    per_pass = sum(p.seconds for p in measured) / sum(p.amount for p in measured)
    wait = sum(account.waits["score"] for account in accounts) / 2
    taken = estimate(ahead, found, rates)
    expected = per_pass * weigh(ahead.passes) + wait
    assert taken.seconds["score"] == pytest.approx(expected)
    assert set(taken.seconds) == {"ingest", "train", "score", "other"}


def test_nights_elsewhere_count_where_there_are_no_others(store):
    ahead = forecast_of(store[0], "--cpus", "8", "--models", "retrain", "--replace")
    found, rates = earlier_rates(ahead)
    assert found.cpus == 8
    assert rates.basis == "2 earlier nights on other clusters"


def test_nights_of_other_nets_do_not_count(store):
    ahead = forecast_of(store[0], *ONE_CPU, "--net", "mlp", "--as", "other")
    _, rates = earlier_rates(ahead)
    assert rates.basis == ""
    assert estimate(ahead, shape(1), rates).hours is None


def test_a_night_that_ends_early_accounts_for_what_it_did(rescore, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise IncompleteError("the cluster is gone")

    monkeypatch.setattr(InProcessEngine, "score", fail)
    assert rescore(*SMALL, "--metrics", "msp") == 4
    (job,) = load_jobs(Storage(str(tmp_path / "store")))
    assert job.state == "failed"
    assert [pace.kind for pace in job.account.paces] == ["ingest", "plain small_cnn x1"]


def test_plan_and_rescore_say_how_long(rescore, tmp_path, capsys):
    flags = (*SMALL, "--metrics", "msp", *ONE_CPU)
    plan = ["plan", "--store", str(tmp_path / "store"), "--recipe", "smoke"]
    assert main([*plan, *flags]) == 0
    line = "  time     unknown: no earlier night; protoscore plan --trial measures it"
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert rescore(*flags) == 0
    assert line in capsys.readouterr().out.splitlines()
    more = (*flags, "--limit-train", "200", "--models", "retrain", "--replace")
    assert main([*plan, *more, "--usd-per-cpu-hour", "0.05"]) == 0
    time, cost = capsys.readouterr().out.splitlines()[-2:]
    assert time.startswith("  time     about ")
    assert time.endswith("), as 1 earlier night on 1 CPU went")
    assert cost == "  cost     about 0.00 USD"
    assert rescore(*more) == 0
    assert ", as 1 earlier night on 1 CPU went" in capsys.readouterr().out
    assert main([*plan, *more]) == 0
    assert "  time " not in capsys.readouterr().out


def test_records_of_jobs_without_an_account_count_for_nothing(rescore, tmp_path):
    """As older versions leave them, and jobs that are no nights."""
    assert rescore(*SMALL, "--metrics", "msp") == 0
    (path,) = (tmp_path / "store" / "jobs").glob("*.json")
    record = json.loads(path.read_text())
    assert record.pop("account")["paces"]
    path.write_text(json.dumps(record))
    more = ("--metrics", "msp", "--models", "retrain", "--limit-train", "200", "--replace")
    _, rates = earlier_rates(forecast_of(tmp_path / "store", *more))
    assert (rates.basis, dict(rates.paces)) == ("", {})
