"""What is left of a night whose runs failed or whose hours are over."""

import shutil

import pytest
from small_plans import plan_of

from ray_jobs.night.fallback import only_staged, without_runs
from scoring.errors import IncompleteError
from scoring.spec import Signal
from scoring.store.layout import staged_path
from scoring.store.storage import Storage

METRICS = ("msp", "ret", "conf", "agr", "priv")


@pytest.fixture
def plan(ingested):
    return plan_of(ingested, "--metrics", *METRICS)


def names(request):
    return tuple(metric.name for metric in request.metrics)


def test_only_the_metrics_that_read_a_missing_run_are_dropped(plan):
    private = plan.models.runs(Signal.PRIVATE, "train")[3]
    request = without_runs(plan, [private], "one failed")
    assert names(request) == ("msp", "ret", "conf", "agr")
    assert request.flags == plan.request.flags


def test_metrics_go_with_a_run_of_either_split(plan):
    pair = plan.models.runs(Signal.PAIRS, "test")[0]
    assert "ret" not in names(without_runs(plan, [pair], "one failed"))


def test_metrics_go_with_the_parent_of_a_run(plan):
    parent = next(r for r in plan.runs if r.key == plan.models.runs(Signal.PAIRS, "test")[0].parent)
    assert parent.spec.kind == "plain"
    request = without_runs(plan, [parent], "one failed")
    assert names(request) == ("msp", "conf", "agr", "priv")


def test_without_the_ensemble_the_base_run_predicts(plan):
    member = plan.models.runs(Signal.ENSEMBLE, "train")[0]
    assert names(without_runs(plan, [member], "one failed")) == ("msp", "ret", "priv")


def test_without_the_base_run_the_ensemble_still_predicts(plan):
    request = without_runs(plan, [plan.models.base()], "one failed")
    assert "msp" not in names(request)
    assert {"conf", "agr", "priv"} <= {*names(request)}


def test_nothing_is_published_without_a_run_to_predict_by(plan):
    both = [plan.models.base(), plan.models.runs(Signal.ENSEMBLE, "train")[0]]
    with pytest.raises(IncompleteError, match="two failed; nothing was published, because they"):
        without_runs(plan, both, "two failed")


def test_nothing_is_published_if_no_metric_is_left(plan):
    with pytest.raises(IncompleteError, match=r"^all failed; nothing was published$"):
        without_runs(plan, plan.runs, "all failed")


@pytest.fixture
def staged(ingested, tmp_path):
    """Mark scores as staged, all shards but `missing` of the last; returns the plan then."""
    store = str(tmp_path / "store")
    shutil.copytree(ingested, store)

    def stage(*metrics, last=True):
        storage, plan = Storage(store), plan_of(store, "--metrics", "msp", "ret")
        for item in plan.work if last else plan.work[:-1]:
            for metric in metrics:
                storage.write(staged_path(metric, item.key(metric)), b"")
        return plan_of(store, "--metrics", "msp", "ret")

    return stage


def test_metrics_of_which_all_shards_are_staged_are_left(staged):
    staged("ret", last=False)
    plan = staged("msp", "predicted")
    assert names(only_staged(plan, "it is late")) == ("msp",)


def test_nothing_is_published_if_no_metric_is_staged(staged):
    staged("msp", "ret", last=False)
    with pytest.raises(IncompleteError, match=r"^it is late; nothing was published$"):
        only_staged(staged("predicted"), "it is late")


def test_nothing_is_published_without_the_predicted_classes(staged):
    staged("predicted", last=False)
    with pytest.raises(IncompleteError, match=r"^it is late; nothing was published$"):
        only_staged(staged("msp", "ret"), "it is late")
