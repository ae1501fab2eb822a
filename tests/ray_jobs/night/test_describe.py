"""What a job tells its user."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from in_process import rescoring
from small_plans import SMALL, forecast_of, plan_of

from ray_jobs.night import describe
from ray_jobs.night.cluster_shape import ClusterShape
from ray_jobs.night.estimate import Estimate
from ray_jobs.terminal.cap_flags import CapFlags
from scoring.spec import Signal
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import Outcome


def is_one_line(text):
    """Whether a text can follow `protoscore: error: `."""
    return "\n" not in text and "  " not in text and text == text.strip()


def test_a_first_night_as_a_table(ingested, tmp_path):
    store = str(tmp_path / "empty")
    table = describe.forecast_table(forecast_of(store, "--metrics", "ret", "conf"))
    assert table.splitlines() == [
        f"Plan for digits in {store}: 100 train + 50 test examples, 10 classes, 8x8x1",
        "  ingest   3 of 3 shards: 150 images, 9.6 kB decoded",
        "  train    18 of 18 runs: 6 finetuned, 12 plain; at most 2.6 k forward + backward passes, "
        "1.3 k forward passes to look at other rows",
        "  score    12 of 12 shard results: about 1.8 k forward and 0 backward passes",
        "  publish  4 of 4 partitions",
        "  memory   training data 9.6 kB per node, in memory; 3.2 kB per shard; "
        "1 GB of weights per scorer; logits 108 kB in the store, kept",
    ]


def test_what_is_there_is_reused_and_costs_nothing(ingested):
    ahead = forecast_of(ingested, "--metrics", "msp")
    done = replace(ahead, missing_runs=(), missing_results=0, changed_partitions=0)
    stages = describe.forecast_table(done).splitlines()[1:5]
    assert stages == [
        "  ingest   0 of 3 shards (3 reused)",
        "  train    0 of 1 runs (1 reused)",
        "  score    0 of 6 shard results (6 reused)",
        "  publish  0 of 2 partitions (2 reused)",
    ]


def test_large_numbers_are_grouped(ingested):
    ahead = replace(forecast_of(ingested, "--metrics", "msp"), results=12345, missing_results=2345)
    assert "score    2,345 of 12,345 shard results (10,000 reused): " in describe.forecast_table(
        ahead
    )


def test_budgets_that_are_too_small_are_said(ingested):
    tight = ("--train-memory-gb", "1e-9", "--outputs-gb", "1e-9", "--cache-memory-gb", "0.5")
    table = describe.forecast_table(forecast_of(ingested, *tight))
    assert "training data 9.6 kB per node, mapped from disk; " in table
    assert "; 0.5 GB of weights per scorer; " in table
    assert table.endswith("in the store, not kept")


def test_metrics_that_are_left_out_are_named(ingested):
    ahead = forecast_of(ingested, "--metrics", "msp")
    without = replace(ahead, situation=replace(ahead.situation, left_out=("adv_l2", "vog")))
    last = describe.forecast_table(without).splitlines()[-1]
    assert last == "  left out adv_l2, vog: not applicable to images or to this net"


@pytest.mark.parametrize(
    ("number", "count", "size"),
    [
        (0, "0", "0 B"),
        (999, "999", "999 B"),
        (999.6, "1 k", "1 kB"),
        (1000, "1 k", "1 kB"),
        (1234, "1.23 k", "1.23 kB"),
        (999_499, "999 k", "999 kB"),
        (999_500, "1 M", "1 MB"),
        (45e6, "45 M", "45 MB"),
        (2.5e9, "2.5 G", "2.5 GB"),
        (7e12, "7 T", "7 TB"),
        (1.234e18, "1,234,000 T", "1,234,000 TB"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(number, count, size):
    assert describe._count(number) == count
    assert describe._bytes(number) == size


def taking(seconds, cpus=2.0, gpus=0.0, basis="3 earlier nights on 2 CPUs"):
    return Estimate(shape=ClusterShape(cpus=cpus, gpus=gpus), seconds=seconds, basis=basis)


def test_the_time_of_a_night_is_said_with_its_basis():
    known = {"ingest": 12.4, "train": 2 * 3600.0, "score": 840.0, "other": 99.0}
    assert describe.time_lines(taking(known), CapFlags()) == (
        "  time     about 2.3 h on 2 CPUs (ingest 12 s, train 2.0 h, score 14 min, other 99 s), "
        "as 3 earlier nights on 2 CPUs went"
    )
    assert describe.time_lines(taking({}), CapFlags()) == ""


def test_what_a_night_costs_is_said_where_it_is_known():
    hour = {"train": 3600.0}
    gpus = taking(hour, cpus=16.0, gpus=4.0)
    caps = CapFlags(usd_per_gpu_hour=2.5, usd_per_cpu_hour=0.01)
    (_, cost) = describe.time_lines(gpus, caps).splitlines()
    assert cost == "  cost     about 4 GPU-hours, 10.16 USD"
    assert describe.time_lines(gpus, CapFlags()).endswith("  cost     about 4 GPU-hours")
    assert describe.time_lines(taking(hour), caps).endswith("  cost     about 0.02 USD")
    assert "cost" not in describe.time_lines(taking(hour), CapFlags())


def test_what_nobody_knows_is_said_to_be_unknown():
    some = {"ingest": 12.0, "train": None}
    assert describe.time_lines(taking(some), CapFlags()) == (
        "  time     ingest 12 s, train unknown on 2 CPUs, as 3 earlier nights on 2 CPUs went; "
        "protoscore plan --trial measures it"
    )
    assert describe.time_lines(taking({"train": None}, basis=""), CapFlags()) == (
        "  time     unknown: no earlier night; protoscore plan --trial measures it"
    )


def test_nets_with_batch_norm_are_noted_where_they_train_privately(ingested):
    net = ("--net", "own_nets:with_batch_norm")
    (note,) = describe.notes(plan_of(ingested, *net, "--metrics", "priv"))
    assert note.startswith("note: own_nets:with_batch_norm has BatchNorm, which mixes examples; ")
    assert is_one_line(note)
    assert describe.notes(plan_of(ingested, *net, "--metrics", "msp")) == []
    assert describe.notes(plan_of(ingested, "--metrics", "priv")) == []


def test_runs_that_failed_are_named(ingested):
    plan = plan_of(ingested, "--metrics", "msp", "agr")
    failed = plan.models.runs(Signal.ENSEMBLE, "train")[:2]
    said = describe.missing_runs(plan, failed, "")
    assert said == (
        "expected 7 runs, 2 failed after retries (plain train small_cnn x1 seed=1000; "
        "plain train small_cnn x1 seed=1001)"
    )
    late = describe.missing_runs(plan, failed, "--max-hours: time ran out")
    assert late == "--max-hours: time ran out with 5 of 7 runs trained"


def test_metrics_that_are_not_published_are_named_once(ingested):
    planned = plan_of(ingested, "--metrics", "msp", "ret", "agr")
    made = plan_of(ingested, "--metrics", "msp")
    said = describe.left_out(planned, made, "--max-hours: time ran out")
    assert said == (
        "--max-hours: time ran out; not published: agr, ret; run the same command again to go on"
    )


def manifest(metric, rows):
    return Manifest(
        partition=Partition("digits", "train", metric),
        key="k",
        night_id="n",
        planned_at=datetime(2026, 3, 1, tzinfo=UTC).isoformat(),
        settings={},
        dataset_version="v",
        trained_on={},
        runs=(),
        rows=rows,
    )


def test_what_became_of_partitions(ingested):
    plan = plan_of(ingested, "--metrics", "msp")
    one, two = (manifest("msp", 1200),), (manifest("a", 1200), manifest("b", 1200))
    table = f"{ingested}/tables/scores"
    assert describe.outcome(plan, Outcome(committed=two, version=7)) == (
        f"Published 2 partitions of digits, 2,400 rows, as version 7 of {table}"
    )
    assert describe.outcome(plan, Outcome(committed=one, already=two, yielded=one, version=1)) == (
        f"Published 1 partition of digits, 1,200 rows, as version 1 of {table}\n"
        "Left 2 partitions to another job, which published the same\n"
        "Left 1 partition to a night that was planned later"
    )
    assert describe.outcome(plan, Outcome()) == ""


def test_nothing_to_do_says_since_when(in_process, tmp_path):
    assert rescoring(tmp_path / "store")(*SMALL, "--metrics", "msp") == 0
    plan = plan_of(tmp_path / "store", "--metrics", "msp")
    said = describe.nothing_to_do(plan)
    assert is_one_line(said)
    planned = {m.planned_at for m in plan.situation.published.values()}
    assert re.search(r"night of (\S+ \S+) UTC", said)[1] == max(planned)[:19].replace("T", " ")


def test_commands_to_try_next_name_the_store_and_a_metric(ingested):
    lines = describe.try_next(plan_of(ingested, "--metrics", "conf", "msp")).splitlines()
    assert lines[1:3] == [
        f"  protoscore issues --store {ingested}",
        f"  protoscore outliers --store {ingested} --metric conf",
    ]
    assert all(f"--store {ingested}" in line for line in lines[1:])
