"""`protoscore check` on stores of a few made-up nights."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from nights_store import examples, first, outlying, publish_night
from prometheus_client.parser import text_string_to_metric_families

from ray_jobs.checks import gauges
from ray_jobs.cli import main
from ray_jobs.jobs.job_record import JobRecord
from scoring.errors import Outage
from scoring.store.layout import job_path
from scoring.store.records import write_record
from scoring.store.storage import Storage

TRAIN, TEST = examples(600, 1), examples(300, 2)
ALL = ("published", "rows_gone", "test_accuracy", "new_lowest", "shard_drift")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "store"))


@pytest.fixture
def check(storage: Storage, capsys):
    def run(*flags: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = main(["check", "--store", storage.uri, "--format", "json", *flags])
        printed = capsys.readouterr()
        assert not printed.err
        return code, {row.pop("expectation"): row for row in json.loads(printed.out)}

    return run


def two_nights(storage: Storage, train=TRAIN, test=TEST) -> None:
    """The second night brings the last hundred training examples."""
    publish_night(storage, first(TRAIN, 500), TEST, night=1, hours_ago=25)
    publish_night(storage, train, test, night=2)


def test_a_night_like_the_one_before_passes(storage, check):
    two_nights(storage)
    code, verdicts = check("--max-new-lowest", "50")
    assert {name: row["verdict"] for name, row in verdicts.items()} == dict.fromkeys(ALL, "passed")
    assert code == 0


def test_what_needs_a_night_before_is_skipped_on_the_first(storage, check):
    publish_night(storage, TRAIN, TEST, night=1)
    code, verdicts = check("--max-new-lowest", "0")
    assert code == 0
    assert verdicts["published"]["verdict"] == "passed"
    assert {verdicts[name]["verdict"] for name in ALL[1:]} == {"skipped"}


def test_each_expectation_is_a_line(storage, capsys):
    two_nights(storage)
    assert main(["check", "--store", storage.uri, "--max-age-hours", "0.5"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split() for line in lines] == [
        ["failed", "published"],
        ["passed", "rows_gone"],
        ["passed", "test_accuracy"],
        ["passed", "shard_drift"],
    ]
    assert lines[0].startswith("failed  published: expected a night within 0.5 hours, got the last")
    assert lines[1] == (
        "passed  rows_gone: expected at most 0 rows of a split gone, got 0 of train, 0 of test"
    )


def test_a_night_that_is_late_fails_until_one_finds_nothing_to_do(storage, check):
    publish_night(storage, TRAIN, TEST, night=1, hours_ago=27)
    code, verdicts = check()
    assert (code, verdicts["published"]["verdict"]) == (1, "failed")
    assert re.search(r"27\.\d hours ago", verdicts["published"]["got"])
    assert check("--max-age-hours", "28")[0] == 0
    assert "published" not in check("--max-age-hours", "inf")[1]
    now = datetime.now(UTC).isoformat()
    job = JobRecord(
        job_id="j", job="rescore", dataset="other", command="", host="", pid=1, started_at=now,
        seen_at=now, state="nothing to do",
    )  # fmt: skip
    write_record(storage, job_path("j"), job)
    assert check()[0] == 1
    write_record(storage, job_path("k"), replace(job, dataset="mine", state="failed"))
    assert check()[0] == 1
    write_record(storage, job_path("l"), replace(job, dataset="mine"))
    assert check()[0] == 0


def test_rows_that_are_gone_fail(storage, check):
    two_nights(storage, train=first(TRAIN, 480))
    code, verdicts = check()
    assert (code, verdicts["rows_gone"]["verdict"]) == (1, "failed")
    assert verdicts["rows_gone"]["got"] == "20 of train, 0 of test"
    assert check("--max-rows-gone", "20")[0] == 0


@pytest.mark.parametrize(("wrong", "code"), [(0, 0), (6, 0), (7, 1)])
def test_a_fall_of_the_accuracy_of_what_is_published_fails(storage, check, wrong, code):
    worse = TEST.predicted.copy()
    right = np.flatnonzero(worse == TEST.label)[:wrong]
    worse[right] = 1 - worse[right]
    publish_night(storage, TRAIN, TEST, night=1)
    publish_night(storage, TRAIN, replace(TEST, predicted=worse), night=2)
    found, verdicts = check()  # at most 0.02 of 300 examples
    assert found == code
    assert f"0.9500 to {0.95 - wrong / 300:.4f} (predicted)" in verdicts["test_accuracy"]["got"]
    assert check("--max-accuracy-fall", "1")[0] == 0


def test_rows_newly_in_the_lowest_hundredth_are_counted_when_asked(storage, check):
    publish_night(storage, TRAIN, TEST, night=1)
    publish_night(storage, outlying(TRAIN, np.arange(4)), TEST, night=2)
    assert "new_lowest" not in check()[1]
    code, verdicts = check("--max-new-lowest", "3")
    assert (code, verdicts["new_lowest"]["verdict"]) == (1, "failed")
    assert verdicts["new_lowest"]["got"] == "4 of adv_l2 in train"
    assert check("--max-new-lowest", "4")[0] == 0
    assert check("--max-new-lowest", "3", "--metrics", "agr")[0] == 0


def test_a_new_shard_with_outlying_rows_fails_and_is_named(storage, check):
    two_nights(storage, train=outlying(TRAIN, np.arange(550, 575, 2)))
    code, verdicts = check()
    assert (code, verdicts["shard_drift"]["verdict"]) == (1, "failed")
    assert "by adv_l2 in train examples 550 to 574" in verdicts["shard_drift"]["got"]
    assert "13 of 25 rows" in verdicts["shard_drift"]["got"]
    assert check("--max-shard-lift", "inf", "--max-shard-shift", "inf")[0] == 0
    assert check("--metrics", "agr")[0] == 0


@pytest.mark.parametrize("move", [-3, 3])
def test_a_new_shard_that_stands_elsewhere_as_a_whole_fails_either_way(storage, check, move):
    value = TRAIN.values["agr"].copy()
    value[550:575] += move
    two_nights(storage, train=replace(TRAIN, values={**TRAIN.values, "agr": value}))
    assert check("--max-shard-lift", "inf")[0] == 1
    assert check("--max-shard-lift", "inf", "--max-shard-shift", "50")[0] == 0


def test_an_old_shard_is_not_judged_again(storage, check):
    publish_night(storage, outlying(first(TRAIN, 500), np.arange(25)), TEST, night=1)
    publish_night(storage, outlying(TRAIN, np.arange(25)), TEST, night=2)
    assert check()[1]["shard_drift"]["verdict"] == "passed"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-age-hours", "-1"], "--max-age-hours: expected 0 or more, got -1"),
        (["--max-shard-lift", "nan"], "--max-shard-lift: expected 0 or more, got nan"),
        (["--shard-false-alarms", "0"], "--shard-false-alarms: expected a number in (0, 1), got 0"),
        (["--metrics", "vog"], "--metrics: expected one of adv_l2, agr, got 'vog'"),
        (["--dataset", "yours"], "--dataset: expected one of mine, got 'yours'"),
        (["--prometheus", "/nowhere/x.prom"], "--prometheus: expected a file that can be written"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(storage, capsys, flags, said):
    two_nights(storage)
    assert main(["check", "--store", storage.uri, *flags]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_store_without_scores_is_refused(storage, capsys):
    assert main(["check", "--store", storage.uri]) == 2
    assert "expected a store with published scores" in capsys.readouterr().err


def gauges_of(text: str) -> dict[tuple[str, ...], float]:
    """Value by name, dataset and the other labels in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_gauges_say_the_same(storage, check, tmp_path):
    two_nights(storage, train=outlying(TRAIN, np.arange(550, 575, 2)))
    file = tmp_path / "mine.prom"
    file.write_text("old")
    assert check("--prometheus", str(file))[0] == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.prom"]
    found = gauges_of(file.read_text())
    assert found["protoscore_rows", "mine", "train"] == 600
    assert found["protoscore_rows", "mine", "test"] == 300
    assert found["protoscore_rows_gone", "mine", "train"] == 0
    assert found["protoscore_new_lowest", "mine", "adv_l2", "train"] > 0
    assert found["protoscore_test_accuracy", "mine", "predicted"] == pytest.approx(0.95)
    assert found["protoscore_night_seconds", "mine"] == pytest.approx(182.4)
    assert found["protoscore_drifted_shards", "mine"] == 1
    assert found["protoscore_expectation_failed", "mine", "shard_drift"] == 1
    assert found["protoscore_expectation_failed", "mine", "published"] == 0
    age = (
        found["protoscore_check_timestamp_seconds", "mine"]
        - found["protoscore_last_success_timestamp_seconds", "mine"]
    )
    assert 3600 <= age < 2 * 3600


def test_gauges_go_to_a_pushgateway(storage, check, monkeypatch, capsys):
    two_nights(storage)
    pushed = []
    monkeypatch.setattr(gauges, "push_to_gateway", lambda *args, **kwargs: pushed.append(kwargs))
    assert check("--pushgateway", "http://pushgateway:9091")[0] == 0
    assert pushed[0]["grouping_key"] == {"dataset": "mine"}


def test_a_pushgateway_that_is_away_is_an_outage_after_the_verdicts(storage, capsys):
    two_nights(storage)
    code = main(["check", "--store", storage.uri, "--pushgateway", "http://127.0.0.1:1"])
    printed = capsys.readouterr()
    assert code == Outage.exit_code
    assert printed.out.count("passed") == 4
    assert "--pushgateway: expected a Pushgateway at http://127.0.0.1:1" in printed.err
