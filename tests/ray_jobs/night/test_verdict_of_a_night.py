"""A night says which labels are wrong, on digits of which a tenth got another label."""

import errno
from pathlib import Path

import pytest

from ray_jobs.cli import main
from scoring.data.named import LOADERS
from scoring.tables import Store

FLAGS = ("--relabel", "0.1", "--limit-test", "100", "--shard-rows", "500")
NAME = "digits-relabelled-10"


@pytest.fixture(scope="module")
def store(in_process, tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("night") / "store")
    command = ["rescore", "--dataset", "digits", "--store", uri, *FLAGS]
    assert main([*command, "--metrics", "conf", "memorisation"]) == 0
    return uri


@pytest.fixture(scope="module")
def true_labels():
    return LOADERS["digits"]("", "train").labels


def test_it_finds_them(store, true_labels):
    rows = Store(store).probabilities(NAME, "train").to_pandas()
    wrong = rows["label"] != true_labels[rows["example_id"]]
    suspects = rows["wrong"] >= 0.5
    assert wrong.sum() > 100
    assert rows["wrong"].sum() == pytest.approx(wrong.sum(), rel=0.1)
    assert wrong[suspects].mean() > 0.9
    assert suspects[wrong].mean() > 0.9


def test_issues_are_those_worth_a_look(store):
    rows = Store(store).probabilities(NAME, "train").to_pandas().set_index("example_id")
    issues = Store(store).issues(NAME, "train").to_pandas()
    assert issues["rank"].tolist() == list(range(len(issues)))
    assert issues["wrong"].is_monotonic_decreasing
    assert set(rows.index[rows["wrong"] >= 0.5]) <= set(issues["example_id"])
    of = rows.loc[issues["example_id"]]
    assert (of["wrong"].to_numpy() == issues["wrong"]).all()
    assert (of["label"].to_numpy() == issues["label"]).all()
    assert (issues["label_name"] == issues["label"].astype(str)).all()
    assert (issues["suggested_name"] == issues["suggested"].astype(str)).all()
    assert (issues["name"] == "train/" + issues["example_id"].astype(str)).all()
    assert issues["memorisation"].notna().all()
    assert issues["fleet_aum"].isna().all()


def test_the_command_lists_them_and_says_how_many(store, capsys):
    capsys.readouterr()
    assert main(["issues", "--store", store, "-n", "3"]) == 0
    said = capsys.readouterr()
    assert f"Labels of {NAME}, train: about 1" in said.err
    assert f"Labels of {NAME}, test: about 0 of 100 wrong" in said.err
    assert said.out.count("wrong label") == 3
    assert main(["issues", "--store", store, "--kind", "ambiguous", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows
    assert all("ambiguous" in row for row in rows)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("-n", "-1"), "-n: expected 0 or more rows, got -1"),
        (("--label", "dog"), "--label: expected one of 0, "),
        (("--dataset", "cats"), f"--dataset: expected one of {NAME}, got 'cats'"),
    ],
)
def test_bad_flags_are_one_line(store, capsys, flags, line):
    capsys.readouterr()
    assert main(["issues", "--store", store, *flags]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"protoscore: error: {line}")
    assert said.err.count("\n") == 1


def test_the_same_night_again_has_nothing_to_judge(store, capsys):
    capsys.readouterr()
    command = ["rescore", "--dataset", "digits", "--store", store, *FLAGS]
    assert main([*command, "--metrics", "conf", "memorisation"]) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_what_a_night_did_not_get_to_the_next_one_does(
    in_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise OSError(errno.EIO, "the disk died")

    store = str(tmp_path / "store")
    flags = ("--limit-train", "200", "--limit-test", "30", "--relabel", "0.1", "--metrics", "conf")
    command = ["rescore", "--dataset", "digits", "--store", store, *flags]
    with monkeypatch.context() as patch:
        patch.setattr("ray_jobs.night.publish_verdict.publish_issues", die)
        assert main(command) == 5
    assert not len(Store(store).sql("select * from issues"))
    assert main(command) == 0
    assert len(Store(store).issues(NAME, "train"))


def test_without_an_ensemble_nothing_is_judged(in_process, tmp_path, capsys):
    store = str(tmp_path / "store")
    flags = ("--limit-train", "60", "--limit-test", "30", "--metrics", "adv_steps")
    assert main(["rescore", "--dataset", "digits", "--store", store, *flags]) == 0
    capsys.readouterr()
    assert main(["issues", "--store", store]) == 2
    assert "expected judged labels, got none in" in capsys.readouterr().err
