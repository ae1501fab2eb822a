"""What a night starts from, and what it refuses to replace."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from in_process import jobs_in_process, rescoring
from small_plans import SMALL, forecast_of, plan_of, request_of

from ray_jobs.night.applicable import applicable
from ray_jobs.night.situation import assess
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.errors import PublishedDiffers, UserError
from scoring.registry import metrics
from scoring.spec import Signal
from scoring.tables.manifest import Partition

METRICS = ("--metrics", "msp", "adv_steps")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A store with one night of two cheap metrics."""
    store = tmp_path_factory.mktemp("published") / "store"
    with jobs_in_process():
        assert rescoring(store)(*SMALL, *METRICS) == 0
    return str(store)


OTHERS = {
    "--net": ("--net", "mlp"),
    "--recipe": ("--epochs", "9"),
    "--seed": ("--seed", "1"),
    "--fleet": ("--fleet", "standard", "--net", "small_cnn"),
    "--ensemble": ("--ensemble", "seeds"),
    "--folds": ("--folds", "2"),
    "--limit-train": ("--limit-train", "50"),
    "--limit-test": ("--limit-test", "49"),
    "--adv-steps.step": ("--adv-steps.step", "0.01"),
    "--dataset": ("--relabel", "0.5", "--as", "digits"),
}


@pytest.mark.parametrize("flag", OTHERS)
def test_other_settings_are_refused_by_the_name_of_their_flag(published, flag):
    other = (*METRICS, *OTHERS[flag])
    with pytest.raises(PublishedDiffers) as refused:
        assess(request_of(published, *other))
    said = str(refused.value)
    assert said.startswith(f"{flag}: expected ")
    assert "as digits/train/" in said
    assert said.endswith("pass --replace to publish over it, or --as NAME to publish next to it")
    assert assess(request_of(published, *other, "--replace")).partition(
        "train", metrics()["msp"]
    ) == Partition("digits", "train", "msp")
    beside = assess(request_of(published, *other, "--as", "beside"))
    assert {p.dataset for p in (beside.partition("test", m) for m in beside.request.metrics)} == {
        "beside"
    }


def test_settings_of_one_metric_are_no_matter_of_another(published):
    other = ("--adv-steps.step", "0.01")
    assert plan_of(published, "--metrics", "msp", *other).nothing_to_do


def test_machines_and_dates_are_no_settings(published):
    machine = ("--batch-rows", "17", "--cpus", "1", "--date", "2026-01-01", "--threads", "1")
    assert plan_of(published, *METRICS, *machine).nothing_to_do


def test_settings_are_named_as_flags_are(ingested):
    situation = assess(request_of(ingested, "--limit-test", "50", "--adv-steps.step", "0.004"))
    settings = situation.settings(metrics()["adv_steps"])
    assert settings["limit-train"] == "100"
    assert settings["adv-steps.step"] == "0.004"
    assert settings["dataset"] == "digits"
    assert {*situation.fleet.settings} <= {*settings}
    assert not any(name.startswith("adv") for name in situation.settings(metrics()["msp"]))


def test_the_published_fleet_of_the_same_source_is_reused(published):
    fleet = assess(request_of(published, *METRICS)).fleet
    assert fleet.published_on == plan_of(published, *METRICS).models.trained_on
    relabelled = (*METRICS, "--relabel", "0.5", "--as", "digits", "--replace")
    assert assess(request_of(published, *relabelled)).fleet.published_on is None


def test_no_run_is_reused_from_another_source_under_the_same_name(published):
    ahead = forecast_of(published, *METRICS, "--relabel", "0.5", "--as", "digits", "--replace")
    assert ahead.missing_runs == ahead.runs


def test_rows_and_pieces(ingested, tmp_path):
    situation = assess(request_of(ingested))
    assert (situation.rows, situation.to_ingest) == (150, ())
    empty = assess(request_of(tmp_path / "empty"))
    assert [(p.split, p.first_id) for p in empty.to_ingest] == [
        ("train", 0),
        ("train", 50),
        ("test", 0),
    ]
    assert empty.rows == 150
    assert not Path(tmp_path / "empty" / "datasets").exists()


@pytest.mark.parametrize(
    ("names", "signals", "prediction"),
    [
        (("msp",), {Signal.BASE}, Signal.BASE),
        (("priv",), {Signal.PRIVATE, Signal.BASE}, Signal.BASE),
        (("ret", "conf"), {Signal.PAIRS, Signal.ENSEMBLE}, Signal.ENSEMBLE),
    ],
)
def test_predictions_need_runs_too(ingested, names, signals, prediction):
    situation = assess(request_of(ingested, "--metrics", *names))
    assert situation.signals() == signals
    assert situation.prediction_signal is prediction


TEXTS = Layout(classes=("a", "b"), shape=TextShape(tokens=6))
LSTM = SimpleNamespace(private_form="none", settings={"net": "lstm"})
OTHER_NET = SimpleNamespace(private_form="same", settings={"net": "bag_of_embeddings"})


def test_metrics_that_do_not_apply_are_left_out(ingested):
    request = request_of(ingested)
    left = {m.name for m in request.metrics} - {m.name for m in applicable(request, TEXTS, LSTM)}
    assert {"adv_l2", "adv_linf", "adv_steps", "vog", "priv"} <= left
    assert not {"conf", "agr", "ret", "aum", "msp"} & left
    kept = {m.name for m in applicable(request, TEXTS, OTHER_NET)}
    assert "priv" in kept
    layout = assess(request).layout
    assert applicable(request, layout, OTHER_NET) == request.metrics


@pytest.mark.parametrize(
    ("name", "fleet", "reason"),
    [
        ("vog", OTHER_NET, "which needs pixels, got texts"),
        ("priv", LSTM, "which trains privately, got --net lstm with recurrent layers"),
    ],
)
def test_a_metric_that_is_named_and_does_not_apply_is_refused(ingested, name, fleet, reason):
    request = request_of(ingested, "--metrics", "conf", name)
    with pytest.raises(UserError, match=f"--metrics: expected metrics without {name}, {reason}"):
        applicable(request, TEXTS, fleet)


def test_another_penalty_never_replaces_layers_at_rest_in_silence(in_process, tmp_path):
    metrics = ("--metrics", "representer_self", "msp", "--splits", "test")
    rescore = rescoring(tmp_path / "store")
    assert rescore(*SMALL, *metrics) == 0
    other = (*metrics, "--representer-lambda", "0.1")
    expected = "--representer-lambda: expected 0.003, as digits/test/representer_self was published"
    with pytest.raises(PublishedDiffers, match=f"{expected} with, got 0.1; pass --replace"):
        assess(request_of(tmp_path / "store", *other))
    assert plan_of(tmp_path / "store", "--metrics", "msp", "--splits", "test", *other[4:])
    assert rescore(*SMALL, *other, "--replace") == 0
    assert plan_of(tmp_path / "store", *other).nothing_to_do
    with pytest.raises(PublishedDiffers, match=r"--representer-lambda: expected 0\.1, as"):
        assess(request_of(tmp_path / "store", *metrics))
