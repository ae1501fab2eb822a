"""From a night on digits with wrong labels to a better model, by way of two people at a page."""

import json
from pathlib import Path

import chromium
import pytest
from review_store import knowing, only_queue
from reviewing import decide_all, start

from ray_jobs.cli import main
from scoring.data.named import LOADERS
from scoring.data.reviews import Check, Queue
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.verdicts import read_verdicts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), *chromium.NEEDED]
NAME = "digits-relabelled-40"
ROWS, SHARD = 500, 5
FLAGS = ("--dataset", "digits", "--relabel", "0.4", "--limit-train", str(ROWS))
KINDS = 3  # of results for each shard: the scores of conf, predicted classes, probabilities
TRUE = LOADERS["digits"]("", "train").labels


class Mending:
    """A store, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder / "store")

    def run(self, command: str, *flags: str) -> None:
        assert main([command, "--store", self.uri, *flags]) == 0

    def rescore(self, *flags: str) -> None:
        self.run("rescore", *FLAGS, "--shard-rows", str(SHARD), "--metrics", "conf", *flags)

    def rows(self, split: str, at: int | None = None) -> dict[int, dict]:
        """Example id to its row of `scores`."""
        table = Store(self.uri).scores(NAME, split, "conf", at=at)
        return {row["example_id"]: row for row in table.to_pylist()}


@pytest.fixture
def mending(in_process: None, tmp_path: Path) -> Mending:
    return Mending(tmp_path)


def pressed(check: Check) -> tuple[str, str]:
    """What a reviewer decides who knows the truth, and the name of the class if it is chosen."""
    decision, label = knowing(TRUE)(check)
    return decision, "" if label in (None, check.suggested) else str(label)


def by_keyboard(
    page: chromium.Chromium, address: str, reviewer: str, decisions: list[tuple[str, str]]
) -> str:
    """Go through all checks of a page as one reviewer; return the path of the exported file."""
    chromium.forget_progress(page, address)
    start(page, address, reviewer)
    decide_all(page, decisions)
    page.evaluate("document.getElementById('download').click()")
    return str(page.downloaded(f"review-*-{reviewer}.json"))


def review(
    browser: chromium.Chromium, mending: Mending, folder: Path
) -> tuple[Queue, set[int], list[str]]:
    """Let ann and bob decide on a queue; return it, where they differ, and their files."""
    mending.run("review", "--output", str(folder / "page"))
    queue = only_queue(mending.uri)
    ann = [pressed(check) for check in queue.checks]
    wrong = [n for n, (decision, _) in enumerate(ann) if decision == "relabel"]
    differs = wrong[::20]
    bob = [("keep", "") if n in differs else decided for n, decided in enumerate(ann)]
    address = (folder / "page" / "index.html").as_uri()
    browser.save_to(folder / "downloads")
    with chromium.quiet(browser, width=1400) as page:
        files = [
            by_keyboard(page, address, reviewer, decisions)
            for reviewer, decisions in (("ann", ann), ("bob", bob))
        ]
    return queue, {queue.checks[n].example_id for n in differs}, files


def test_labels_that_two_people_check_by_keyboard_are_mended_and_models_get_better(
    mending: Mending,
    browser: chromium.Chromium,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mending.rescore()
    first = {split: mending.rows(split) for split in ("train", "test")}
    queue, disputed, files = review(browser, mending, tmp_path)
    assert len(queue.checks) == 200

    capsys.readouterr()
    mending.run("review", "--import", *files)
    said = capsys.readouterr().out
    ends = f"2 reviewers (ann, bob), who disagree on {len(disputed)}"
    assert f"400 new; 200 of 200 checks decided by {ends}" in said
    listed = [line.split() for line in said.splitlines() if line.split()[3:4] in (["ann"], ["bob"])]
    assert {int(line[0]) for line in listed} == disputed
    assert len(listed) == 2 * len(disputed)

    mended = {
        verdict.example_id
        for verdict in read_verdicts(Storage(mending.uri), NAME, "train")
        if verdict.decision == "relabel"
    } - disputed
    assert len(mended) > 80
    mending.rescore("--apply-verdicts")
    said = capsys.readouterr().err
    assert f"stay as they are: {len(disputed)}" in said
    assert f"{len(mended)} labels to correct, from 400 verdicts" in said
    second = mending.rows("train")
    assert {i for i, row in second.items() if row["given_label"] is not None} == mended
    assert all(second[i]["label"] == TRUE[i] for i in mended)
    changed = {i // SHARD for i in mended}
    assert len(changed) < 0.9 * ROWS / SHARD
    scored = {i for i, row in second.items() if row["score_key"] != first["train"][i]["score_key"]}
    assert scored == {i for i in second if i // SHARD in changed}
    assert mending.rows("test") == first["test"]

    mending.rescore("--models", "retrain-if-changed=0.01")
    capsys.readouterr()
    mending.run("history", "--format", "json")
    retrained, applied, before = json.loads(capsys.readouterr().out)
    assert [night["corrected"] for night in (before, applied)] == [0, len(mended)]
    assert applied["shards_scored"] == KINDS * len(changed)
    assert (applied["runs_trained"], applied["runs_reused"]) == (0, before["runs_trained"])
    assert retrained["runs_trained"] == before["runs_trained"]
    assert before["test_accuracy"] == applied["test_accuracy"] < retrained["test_accuracy"]
    assert retrained["corrected"] == len(mended)
    mending.run("diff", "--from", "1", "--show", "labels", "--format", "json")
    train, test = json.loads(capsys.readouterr().out)
    assert (train["split"], train["corrected"]) == ("train", len(mended))
    assert train["accuracy_before"] < train["accuracy_before_as_labelled_now"]
    assert (test["split"], test["corrected"]) == ("test", 0)
    assert test["accuracy_before"] == pytest.approx(before["test_accuracy"], abs=1e-4)
    assert test["accuracy"] == pytest.approx(retrained["test_accuracy"], abs=1e-4)

    assert {split: mending.rows(split, at=1) for split in first} == first
    assert mending.rows("train", at=2) == second
