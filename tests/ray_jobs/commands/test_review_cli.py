"""`protoscore review`: a page of labels to check, and what checking them says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import NAMES, unprintable
from report_store import shapes
from review_store import (
    ROWS,
    by_probability,
    decisions,
    only_queue,
    publish_judged,
    write_file,
    wrong_probabilities,
)

from ray_jobs.cli import main
from scoring.analysis.review_sample import ABOVE
from scoring.data.reviews import load_queue, queue_ids
from scoring.store.storage import Storage
from scoring.tables import Store

CHECKS = 200


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A store with a queue of the training split, its page beside it."""
    folder = tmp_path_factory.mktemp("review")
    uri = str(folder / "store")
    publish_judged(uri)
    assert main(["review", "--store", uri, "--output", str(folder / "page")]) == 0
    return uri


@pytest.fixture
def made(fresh, tmp_path):
    """A copy of it."""
    shutil.copytree(fresh, tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture
def files(tmp_path):
    """A folder for files of decisions."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def import_(uri: str, *names: str) -> int:
    return main(["review", "--store", uri, "--import", *names])


def verdicts(uri: str) -> list[dict]:
    return Store(uri).verdicts("shapes", "train").to_pylist()


def test_the_queue_is_a_sample_of_all_strata(fresh, capsys):
    queue = only_queue(fresh)
    wrong = wrong_probabilities(ROWS)
    assert len(queue.checks) == CHECKS
    assert sum(stratum.rows for stratum in queue.strata) == ROWS
    assert [c.wrong for c in queue.checks] == [wrong[c.example_id] for c in queue.checks]
    for n, stratum in enumerate(queue.strata):
        checked = sum(check.stratum == n for check in queue.checks)
        assert checked >= min(8, stratum.rows)
    assert sum(check.stratum >= ABOVE for check in queue.checks) == (wrong >= 0.5).sum()  # all
    assert {c.name for c in queue.checks} == {f"picture-{c.example_id}.png" for c in queue.checks}
    assert len({c.example for c in queue.checks}) == CHECKS
    ids = [check.example_id for check in queue.checks]
    assert ids != sorted(ids)


def test_verdicts_are_a_table_and_a_count(made, files, capsys):
    queue = only_queue(made)
    capsys.readouterr()
    assert import_(made, write_file(files, decisions(queue))) == 0
    said = capsys.readouterr().out
    rows = verdicts(made)
    assert [row["example_id"] for row in rows] == sorted(c.example_id for c in queue.checks)
    check = next(c for c in queue.checks if c.wrong >= 0.5)
    (row,) = (row for row in rows if row["example_id"] == check.example_id)
    assert (row["decision"], row["decided_label"]) == ("relabel", check.suggested)
    assert (row["example"], row["name"], row["label"]) == (check.example, check.name, check.label)
    assert (row["wrong"], row["stratum"], row["queue"]) == (check.wrong, check.stratum, queue.id)
    assert (row["reviewer"], row["dataset_version"]) == ("ann", queue.dataset_version)
    assert row["decided_at"].isoformat() == "2026-11-20T09:31:02.123000+00:00"
    above = int((wrong_probabilities(ROWS) >= 0.5).sum())
    assert "200 new; 200 of 200 checks decided by 1 reviewer (ann), who disagree on 0" in said
    assert f"100.0%, 90 % interval 100.0% to 100.0%, from {above} checks" in said
    assert f"Wrong labels: about {above} of 600, 90 % interval {above} to " in said
    found = {
        (r["subject"], r["measure"]): r["value"]
        for r in Store(made).evaluations("shapes", "review_train").to_pylist()
    }
    assert found["all labels", "wrong"] == above
    assert found["above the cut", "precision"] == 1
    assert found["all labels", "wrong_high"] > above
    assert main(["query", "--store", made, "select count(*) as n from verdicts"]) == 0
    assert main(["report", "--store", made, "--output", str(files / "report")]) == 0
    assert 'id="review_train"' in (files / "report" / "evaluations.html").read_text()


def commits(uri: str) -> int:
    return len([*Path(uri, "tables").glob("*/_delta_log/*.json")])


def test_the_same_file_changes_nothing_and_a_later_one_adds(made, files, capsys):
    queue = only_queue(made)
    whole = decisions(queue)
    half = {**whole, "decisions": whole["decisions"][:80]}
    first = write_file(files, half)
    assert import_(made, first) == 0
    assert "80 of 200 checks" in capsys.readouterr().out
    before, rows = commits(made), verdicts(made)
    assert import_(made, first) == 0
    assert import_(made, first, first) == 0
    assert ": 0 new; 80 of 200 checks" in capsys.readouterr().out
    assert (commits(made), verdicts(made)) == (before, rows)
    assert import_(made, write_file(files, whole)) == 0
    assert ": 120 new; 200 of 200 checks" in capsys.readouterr().out
    assert len(verdicts(made)) == 200
    changed = decisions(queue, lambda _: ("skip", None), at="2026-11-21T08:00:00+02:00")
    assert import_(made, write_file(files, {**changed, "decisions": changed["decisions"][:1]})) == 0
    assert import_(made, first) == 0  # an older decision does not come back
    rows = verdicts(made)
    assert [row["example_id"] for row in rows if row["decision"] == "skip"] == [
        queue.checks[0].example_id
    ]
    assert len(rows) == 200


def test_reviewers_merge_and_disagreements_are_listed(made, files, capsys):
    queue = only_queue(made)
    odd = queue.checks[5]
    other = 3 - odd.label - odd.suggested if odd.label != odd.suggested else (odd.label + 1) % 3

    def differing(check):
        return ("relabel", other) if check == odd else by_probability(check)

    names = [
        write_file(files, decisions(queue)),
        write_file(files, decisions(queue, differing, "bob")),
    ]
    capsys.readouterr()
    assert import_(made, *names) == 0
    said = capsys.readouterr().out
    assert "200 of 200 checks decided by 2 reviewers (ann, bob), who disagree on 1" in said
    listed = [line.split() for line in said.splitlines() if str(odd.name) in line]
    assert [(line[0], line[3]) for line in listed] == [
        (str(odd.example_id), "ann"),
        (str(odd.example_id), "bob"),
    ]
    assert len(verdicts(made)) == 400


def good(queue) -> dict:
    return decisions(queue)


def one(**changes):
    """Return what changes the first decision of a file."""

    def change(content):
        content["decisions"][0] |= changes
        return content

    return change


BAD = {
    "no such file": (None, "expected a file to read, got none"),
    "no JSON": ("{", "expected the JSON file of a review's page, got something else"),
    "no UTF-8": (b"\xff\xfe\x00", "expected the JSON file of a review's page, got something"),
    "deep": ("[" * 100_000, "expected the JSON file of a review's page, got something else"),
    "no object": ("3", "expected a JSON object, got 3"),
    "no tasks": ("[]", "expected tasks of Label Studio, got none"),
    "no queue": ({"queue": 3}, "expected 32 hex digits as queue, got 3"),
    "a path": ({"queue": "../../etc"}, "expected 32 hex digits as queue, got '../../etc'"),
    "unknown": ({"queue": "0" * 32}, "expected decisions on a queue of"),
    "no reviewer": ({"reviewer": " "}, "expected a name as reviewer, got ' '"),
    "a long name": ({"reviewer": "\x1b[31m" * 99}, "expected a name as reviewer, got"),
    "no list": ({"decisions": "123"}, "expected a list of decisions, got '123'"),
    "no decision": ({"decisions": [3]}, "expected a decision as a JSON object, got 3"),
    "no id": (one(example_id="1"), "expected a number as example_id, got '1'"),
    "a wrong word": (one(decision="mend"), "expected one of keep, relabel, ambiguous, exclude,"),
    "no label": (one(decision="relabel"), "expected a class index from 0 to 2, got None"),
    "a name": (one(decision="relabel", label="bag"), "expected a class index from 0 to 2, got 'b"),
    "a true one": (one(decision="relabel", label=True), "expected a class index from 0 to 2, got"),
    "no class": (one(decision="relabel", label=3), "expected a class index from 0 to 2, got 3"),
    "below": (one(decision="relabel", label=-1), "expected a class index from 0 to 2, got -1"),
    "both": (one(decision="keep", label=1), "expected no label with keep, got 1"),
    "no time": (one(decided_at=3), "expected a time in ISO 8601 as decided_at, got 3"),
    "no date": (one(decided_at="today"), "expected a time in ISO 8601 as decided_at, got 'today'"),
    "too late": (one(decided_at="2999-01-01T00:00:00Z"), "expected a time that has come as decid"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_each(made, files, capsys, name):
    content, message = BAD[name]
    sound = good(only_queue(made))
    sound["decisions"][0] |= {"decision": "keep", "label": None}
    bad = files / "bad.json"
    if callable(content):
        write_file(files, content(json.loads(json.dumps(sound))), "bad.json")
    elif isinstance(content, dict):
        write_file(files, {**sound, **content}, "bad.json")
    elif content is not None:
        bad.write_bytes(content.encode() if isinstance(content, str) else content)
    names = [str(bad), write_file(files, sound), str(files / "none")]
    capsys.readouterr()
    assert import_(made, *names) == 2
    said = capsys.readouterr().err.splitlines()
    assert not unprintable("".join(said))
    assert len(said) == 2
    (line,) = (line for line in said if f"{bad}:" in line)
    assert line.startswith(f"protoscore: error: --import {bad}: ")
    assert message in line
    assert f"--import {files / 'none'}: expected a file to read" in " ".join(said)
    assert verdicts(made) == []
    assert Store(made).evaluations("shapes").to_pylist() == []


def test_decisions_on_two_queues_are_refused(made, files, capsys):
    first = only_queue(made)
    page = str(files / "page")
    assert main(["review", "--store", made, "--seed", "1", "--output", page]) == 0
    (other,) = {*queue_ids(Storage(made))} - {first.id}
    second = load_queue(Storage(made), other)
    names = [write_file(files, good(q), f"{q.seed}.json") for q in (first, second)]
    capsys.readouterr()
    assert import_(made, *names) == 2
    assert (
        f"{names[1]}: expected decisions on queue {first.id[:8]} as in the others, got {other[:8]}"
        in capsys.readouterr().err
    )
    for name in names:
        assert import_(made, name) == 0
    assert len(verdicts(made)) == 2 * CHECKS


def test_forgotten_examples_leave_table_and_queue(made, files, capsys):
    queue = only_queue(made)
    name = write_file(files, good(queue))
    assert import_(made, name) == 0
    gone = [check.example_id for check in queue.checks[:3]]
    ids = files / "ids"
    ids.write_text("\n".join(map(str, gone)))
    forget = ["forget", "--store", made, "--dataset", "shapes", "--ids", str(ids)]
    capsys.readouterr()
    assert main([*forget, "--split", "train", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "verdicts     3 rows" in said
    assert "reviews      1 file" in said
    assert main([*forget, "--split", "train"]) == 0
    assert not {*gone} & {row["example_id"] for row in verdicts(made)}
    assert not only_queue(made).holds(gone)
    capsys.readouterr()
    assert import_(made, name) == 0
    said = capsys.readouterr()
    assert "decisions about examples that were forgotten, and do not count: 3" in said.err
    assert ": 0 new; 197 of 197 checks" in said.out
    assert len(verdicts(made)) == 197
    assert main(["verify", "--store", made]) == 0
    assert main(["vacuum", "--store", made, "--older-than-days", "0"]) == 0
    assert only_queue(made).checks


REFUSED = {
    "no checks": ("--checks 0", "--checks: expected a number from 1 to 10000, got 0"),
    "too many": ("--checks 10001", "--checks: expected a number from 1 to 10000, got 10001"),
    "a seed below": ("--seed -1", "--seed: expected 0 or more, got -1"),
    "no files": ("--import", "--import: expected one or more files, got none"),
    "both": ("--import f --checks 2", "--checks: expected it without --import, got both"),
    "to": ("--import f --to label-studio", "--to: expected it without --import, got both"),
    "no dataset": ("--dataset you", "--dataset: expected one of shapes, got 'you'"),
    "not judged": ("--split test", "--split: expected labels that a night has judged, got none of"),
    "a page": ("--output p.html", "--output: expected a folder, since a review has several pages"),
    "a store": ("--output {store}", "--output: expected a new folder, an empty one or an earlier"),
    "no JSON": (
        "--to label-studio --output tasks.txt",
        "--output: expected a local file ending in .json, got 'tasks.txt'",
    ),
    "nowhere": (
        "--to label-studio --output none/tasks.json",
        "--output: expected a file in a folder that exists, got 'none/tasks.json'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_flags_are_one_line(fresh, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    flags, message = REFUSED[name]
    capsys.readouterr()
    assert main(["review", "--store", fresh, *flags.format(store=fresh).split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {message}")
    assert said.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


def test_hostile_names(tmp_path, files, capsys):
    uri, page = str(tmp_path / "store"), tmp_path / "page"
    examples = replace(
        shapes(ROWS, len(NAMES), seed=1), names=[NAMES[i % len(NAMES)] for i in range(ROWS)]
    )
    publish_judged(uri, NAMES, examples)
    assert main(["review", "--store", uri, "--output", str(page)]) == 0
    assert "<b>" not in (page / "index.html").read_text()
    script = (page / "data" / "review.js").read_text()
    found = json.loads(script[script.index("{") : script.rindex("}") + 1])
    assert found["classes"] == [*NAMES]
    content = {**decisions(only_queue(uri)), "reviewer": "\x1b[31m=cmd|' /C calc'!A0"}
    disagreeing = decisions(only_queue(uri), lambda c: ("exclude", None), "bob")
    assert import_(uri, write_file(files, content), write_file(files, disagreeing)) == 0
    assert main(["query", "--store", uri, "select * from verdicts", "--format", "table"]) == 0
    tasks = files / "tasks.json"
    assert main(["review", "--store", uri, "--to", "label-studio", "--output", str(tasks)]) == 0
    assert not unprintable("".join(capsys.readouterr()))


@pytest.mark.s3
def test_a_bucket_gets_the_same_page(s3_store, tmp_path, capsys):
    uri, page = str(tmp_path / "store"), f"{s3_store}/pages/review"
    publish_judged(uri)
    review = ["review", "--store", uri, "--checks", "20", "--output"]
    for _ in range(2):  # the second replaces the first
        assert main([*review, page]) == 0
    assert f"open {page}/index.html" in capsys.readouterr().out
    local = tmp_path / "page"
    assert main([*review, str(local)]) == 0
    files = {f"{f.relative_to(local)}" for f in local.glob("**/*.*")}
    assert {file.path for file in Storage(page).walk("")} == files


def test_a_lost_dataset_version_is_one_line(made, files, capsys):
    queue = only_queue(made)
    name = write_file(files, decisions(queue))
    for path in Path(made, "datasets", "shapes", "train").glob(f"{queue.dataset_version}.*"):
        path.unlink()
    capsys.readouterr()
    assert import_(made, name) == 2
    said = capsys.readouterr().err
    assert f"expected datasets/shapes/train/{queue.dataset_version}.json, got neither" in said
    assert said.count("\n") == 1
