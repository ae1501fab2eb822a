"""What should exist after a night, and what names it."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digit_files import digit_images, write_digits
from in_process import jobs_in_process
from small_plans import plan_of

from ray_jobs.cli import main
from ray_jobs.night.plan import plan_night
from scoring.errors import BadData
from scoring.registry import metrics


def files(store):
    return {path for path in Path(store).rglob("*") if path.is_file()}


def keys(plan):
    return {(p.split, p.metric.name): p.key for p in plan.partitions}


def changed(before, after):
    """The partitions of two plans whose keys differ."""
    one, other = keys(before), keys(after)
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


def test_on_a_store_without_scores_everything_is_missing(ingested):
    before = files(ingested)
    plan = plan_of(ingested)
    assert plan.missing_runs == plan.runs
    assert plan.to_score == plan.work
    assert plan.to_publish == plan.partitions
    assert [(p.split, p.metric.name) for p in plan.partitions] == [
        (split, name) for split in ("train", "test") for name in metrics()
    ]
    assert not plan.nothing_to_do
    assert files(ingested) == before


def test_the_same_request_has_the_same_plan(ingested):
    one, other = plan_of(ingested), plan_of(ingested)
    assert (one.runs, one.work, one.partitions) == (other.runs, other.work, other.partitions)


TWO = ("--metrics", "msp", "adv_steps")
EVERY = {(split, name) for split in ("train", "test") for name in ("msp", "adv_steps")}


@pytest.mark.parametrize(
    ("flags", "want"),
    [
        ((), set()),
        (("--date", "2026-01-01", "--batch-rows", "7"), set()),
        (("--seed", "1"), EVERY),
        (("--as", "other"), EVERY),
        (("--limit-train", "50"), EVERY),  # test scores are by runs that train on fewer rows
        (("--adv-steps.max-steps", "9"), {(s, m) for s, m in EVERY if m == "adv_steps"}),
    ],
)
def test_what_the_keys_of_partitions_depend_on(ingested, flags, want):
    assert changed(plan_of(ingested, *TWO), plan_of(ingested, *TWO, *flags)) == want


def test_partitions_change_with_the_predictions_they_hold(ingested):
    """A metric that reads the ensemble makes all classes predicted by it."""
    alone, beside = (
        plan_of(ingested, "--metrics", "msp", *more, "--splits", "test") for more in ((), ("agr",))
    )
    assert keys(alone)["test", "msp"] != keys(beside)["test", "msp"]
    assert [w.key("msp") for w in alone.work] == [w.key("msp") for w in beside.work]


def test_a_split_that_is_not_scored_has_no_partition_but_is_still_trained_on(ingested):
    plan = plan_of(ingested, "--metrics", "ret", "--splits", "test")
    assert {p.split for p in plan.partitions} == {item.split for item in plan.work} == {"test"}
    assert {run.spec.split for run in plan.runs} == {"train", "test"}
    assert {*plan.versions} == {"train", "test"}


@pytest.fixture
def parquet(tmp_path):
    """Flags of a dataset in Parquet files, and the folder that they lie in."""
    write_digits(tmp_path / "data" / "train" / "a.parquet", slice(0, 100))
    write_digits(tmp_path / "data" / "test" / "a.parquet", slice(1000, 1050))
    flags = ("--dataset", "parquet", "--name", "mine", "--limit-train", "900")
    flags += ("--limit-test", "900")
    flags += ("--train", str(tmp_path / "data" / "train"), "--test", str(tmp_path / "data/test"))
    return flags, tmp_path / "data", str(tmp_path / "store")


def ingest(store, flags):
    with jobs_in_process():
        assert main(["ingest", "--store", store, "--shard-rows", "50", *flags]) == 0


def test_rows_that_are_added_to_a_split_leave_the_staged_scores_of_others(parquet):
    flags, folder, store = parquet
    ingest(store, flags)
    before = plan_of(store, *flags, *TWO)
    write_digits(folder / "test" / "b.parquet", slice(1050, 1100))
    ingest(store, flags)
    after = plan_of(store, *flags, *TWO)
    assert changed(before, after) == {("test", "msp"), ("test", "adv_steps")}
    old, new = ({task.key for w in plan.work for task in w.tasks} for plan in (before, after))
    assert old < new
    assert len(new - old) == 3  # two metrics and the prediction, on one shard


def test_a_split_without_labels_can_be_scored_but_not_trained_on(parquet):
    flags, folder, store = parquet
    images, _ = digit_images(slice(1000, 1050))
    unlabelled = pa.table({"image": images, "label": pa.nulls(50, pa.int64())})
    pq.write_table(unlabelled, folder / "test" / "a.parquet")
    ingest(store, flags)
    assert len(plan_of(store, *flags, *TWO).partitions) == 4
    with pytest.raises(BadData, match="mine: expected test rows to train on, with a label"):
        plan_of(store, *flags, "--metrics", "ret", "--splits", "train")


def test_too_many_rows_that_cannot_be_decoded_are_refused(parquet):
    flags, folder, store = parquet
    write_digits(folder / "train" / "a.parquet", slice(0, 100), broken=range(4))
    ingest(store, flags)
    situation = plan_of(store, *flags, *TWO).situation
    strict = replace(situation.request.flags.data, max_corrupt=0.03)
    night = replace(situation.request.flags, data=strict)
    request = replace(situation.request, flags=night)
    with pytest.raises(BadData, match=r"--max-corrupt: expected at most 3 % .*got 4 of 100"):
        plan_night(replace(situation, request=request))
