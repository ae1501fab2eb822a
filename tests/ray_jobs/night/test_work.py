"""The tasks of every shard, and which of them are staged."""

import shutil

import pytest
from small_plans import plan_of, request_of

from ray_jobs.night.run import assess_and_plan
from ray_jobs.night.situation import assess
from ray_jobs.night.work import provisional_assignments, shard_work
from scoring.registry import metric_or_prediction, metrics
from scoring.score.assignments import passes
from scoring.spec import Signal
from scoring.store.layout import staged_path
from scoring.store.storage import Storage


def assignments(plan, split):
    return [t.assignment for item in plan.work if item.split == split for t in item.tasks]


def test_every_shard_has_a_task_for_each_metric_and_for_what_is_published_besides(ingested):
    plan = plan_of(ingested)
    assert [(item.split, item.record.first_id) for item in plan.work] == [
        ("train", 0),
        ("train", 50),
        ("test", 0),
    ]
    for item in plan.work:
        named = [task.assignment.metric for task in item.tasks]
        assert named == [*metrics(), "predicted", "probabilities"]
        assert item.missing == item.tasks
        assert item.key("conf") == item.tasks[[*metrics()].index("conf")].key
    keys = [task.key for item in plan.work for task in item.tasks]
    assert len(keys) == len(set(keys))


def test_tasks_that_are_staged_are_not_missing(ingested, tmp_path):
    store = str(tmp_path / "store")
    shutil.copytree(ingested, store)
    before = plan_of(store, "--metrics", "msp", "conf")
    first, second, _ = before.work
    storage = Storage(store)
    storage.write(staged_path("conf", first.key("conf")), b"")
    storage.write(staged_path("conf", second.key("msp")), b"")  # under another metric's name
    missing = [
        [task.assignment.metric for task in item.missing]
        for item in plan_of(store, "--metrics", "msp", "conf").work
    ]
    every = ["msp", "conf", "predicted", "probabilities"]
    assert missing == [["msp", "predicted", "probabilities"], every, every]


def test_classes_are_predicted_by_the_ensemble_if_a_metric_reads_it(ingested):
    def predicting(*names):
        plan = plan_of(ingested, "--metrics", *names)
        (assignment,) = {a for a in assignments(plan, "train") if a.metric == "predicted"}
        return [run.key for run in assignment.runs], plan.models

    runs, models = predicting("msp", "agr")
    assert runs == [run.key for run in models.runs(Signal.ENSEMBLE, "train")]
    runs, models = predicting("msp", "ret")
    assert runs == [models.base().key]


def test_only_pairs_name_the_parents_of_their_runs(ingested):
    plan = plan_of(ingested)
    for split in ("train", "test"):
        for assignment in assignments(plan, split):
            parents = {run.parent for run in assignment.runs}
            of_pairs = metric_or_prediction(assignment.metric).signal is Signal.PAIRS
            assert ("" in parents) != of_pairs, assignment.metric


def test_checkpoints_are_counted_for_the_metrics_that_read_them(ingested):
    counts = {a.metric: a.checkpoints for a in assignments(plan_of(ingested), "train")}
    epochs = plan_of(ingested).models.chosen.checkpoints()
    assert epochs > 0
    assert counts["vog"] == counts["aum"] == epochs
    assert counts["conf"] == counts["adv_l2"] == counts["predicted"] == 0


def test_shards_that_are_not_ingested_have_no_work_yet(ingested):
    more = ("--limit-train", "150")
    situation, plan = assess_and_plan(request_of(ingested, *more))
    assert plan is None
    models = situation.fleet.on({"train": "some", "test": "versions"})
    assert len(situation.to_ingest) == 1
    assert [item.record.first_id for item in shard_work(situation, models)] == [0, 50, 0]


@pytest.mark.parametrize("name", [*metrics()])
def test_costs_are_known_before_runs_have_keys(ingested, name):
    flags = ("--metrics", name)
    situation, plan = assess(request_of(ingested, *flags)), plan_of(ingested, *flags)
    for split in ("train", "test"):
        assigned = {a.metric: a for a in assignments(plan, split)}.values()
        assert passes(provisional_assignments(situation, split)) == passes(assigned)


def test_runs_that_metrics_share_cost_once_before_they_have_keys_too(ingested, tmp_path):
    before = assess(request_of(tmp_path / "empty"))
    assert before.to_ingest
    assigned = {a.metric: a for a in assignments(plan_of(ingested), "test")}.values()
    together = passes(provisional_assignments(before, "test"))
    assert together == passes(assigned)
    assert together.forward < sum(passes([a]).forward for a in assigned)
