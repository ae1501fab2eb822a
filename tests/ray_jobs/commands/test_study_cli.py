"""`protoscore study`: a page to hand out, and Table 1 of what people picked."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hostile import NAMES, unprintable
from report_store import METRICS, MetricInfo, publish_scores, shapes, write_dataset
from study_choosers import answers, at_random, attentive, by_value, only_study, write_answers

from ray_jobs.cli import main
from scoring.data.studies import load_study
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import Store

CLASSES = ["bag", "coat", "shoe"]
NOISE = MetricInfo(name="noise", prototypical="high")
SETS = 25
PLAIN = 12
"""Screens of a set for each question, without gold ones."""


def publish(uri: str, classes=CLASSES, texts: bool = False) -> None:
    storage = Storage(uri)
    ensure_marked(storage)
    examples = {"train": shapes(600, len(classes), seed=1), "test": shapes(60, 2, seed=2)}
    for split, of_split in examples.items():
        noise = np.random.default_rng(3).random(len(of_split.label))
        written = [f"text {i}" for i in range(len(of_split.label))] if texts else None
        values = {**of_split.values, "noise": noise}
        examples[split] = replace(of_split, values=values, texts=written)
    versions = write_dataset(storage, "shapes", examples, classes)
    publish_scores(storage, "shapes", versions, examples, [*METRICS, NOISE])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a study of the training split."""
    folder = tmp_path_factory.mktemp("study")
    uri = str(folder / "store")
    publish(uri)
    study = ["study", "--store", uri, "--sets", str(SETS)]
    assert main([*study, "--output", str(folder / "page")]) == 0
    return uri


@pytest.fixture
def typical(made):
    """Example id to the value of `adv_l2`, high where typical."""
    rows = Store(made).scores("shapes", "train", "adv_l2").to_pylist()
    return {row["example_id"]: row["value"] for row in rows}


@pytest.fixture
def table(made, tmp_path, capsys):
    """Import what choosers of some tastes answer, each a set of their own; return the findings."""

    def import_(*tastes, code: int = 0):
        study, folder = only_study(made), tmp_path / "answers"
        folder.mkdir()
        files = [
            write_answers(folder, answers(study, 1 + i, taste, i)) for i, taste in enumerate(tastes)
        ]
        capsys.readouterr()
        assert main(["study", "--store", made, "--import", *files]) == code
        return {
            (row["subject"], row["part"], row["measure"]): row
            for row in Store(made).evaluations("shapes").to_pylist()
            if row["evaluation"] == "study_train"
        }

    return import_


def shares(found, metric: str, kind: str) -> np.ndarray:
    return np.array([found[metric, str(t), f"{kind}_share"]["value"] for t in range(1, 11)])


def deviation(share: float, picks: int) -> float:
    return float(np.sqrt(share * (1 - share) / picks))


def test_a_chooser_by_a_metric_picks_from_its_ends(table, typical, capsys):
    found = table(*[attentive(by_value(typical))] * SETS)
    picks = SETS * PLAIN
    end = 1 - 0.9**9  # that the most typical of nine images is in the most typical tenth
    bound = 4 * deviation(end, picks)
    assert shares(found, "adv_l2", "best")[-1] == pytest.approx(end, abs=bound)
    assert shares(found, "adv_l2", "worst")[0] == pytest.approx(end, abs=bound)
    assert shares(found, "adv_l2", "best")[:5].sum() < 0.02
    assert shares(found, "adv_l2", "worst")[5:].sum() < 0.02
    flat = 4 * deviation(0.1, picks)
    for kind in ("best", "worst"):
        assert shares(found, "noise", kind) == pytest.approx([0.1] * 10, abs=flat)
        assert found["adv_l2", "1", f"{kind}_share"]["rows"] == picks
        assert shares(found, "adv_l2", kind).sum() == pytest.approx(1)
    assert shares(found, "adv_l2", "shown") == pytest.approx([0.1] * 10, abs=0.03)
    for within in ("percentile", "class_percentile"):
        assert found["adv_l2", "all", f"best_{within}"]["value"] == pytest.approx(90, abs=2)
        assert found["adv_l2", "all", f"worst_{within}"]["value"] == pytest.approx(10, abs=2)
    said = capsys.readouterr().out
    assert f"Choosers: {SETS}\n" in said
    (line,) = (line for line in said.splitlines() if line.split()[:2] == ["adv_l2", "best"])
    expected = 100 * shares(found, "adv_l2", "best")
    assert [float(cell) for cell in line.split()[2:13]] == [picks, *np.round(expected, 1)]


def test_random_picks_are_flat(table):
    found = table(*[attentive(at_random(seed)) for seed in range(SETS)])
    for metric in ("adv_l2", "agr", "noise"):
        for kind in ("best", "worst"):
            bound = 4 * deviation(0.1, SETS * PLAIN)
            assert shares(found, metric, kind) == pytest.approx([0.1] * 10, abs=bound)
            assert found[metric, "all", f"{kind}_percentile"]["value"] == pytest.approx(50, abs=6)


def test_who_fails_the_gold_questions_does_not_count(table, made, typical, tmp_path, capsys):
    good = [attentive(by_value(typical))] * 2
    found = table(*good, at_random(1), at_random(2), at_random(3))
    assert found["choosers", "counted", "choosers"]["value"] == 2
    assert found["choosers", "dropped", "choosers"]["value"] == 3
    assert found["adv_l2", "1", "best_share"]["rows"] == 2 * PLAIN
    assert "Choosers: 2; 3 of 5 failed the gold questions" in capsys.readouterr().out
    files = [str(path) for path in (tmp_path / "answers").iterdir()]
    assert main(["study", "--store", made, "--gold-right", "0", "--import", *files]) == 0
    assert "Choosers: 5\n" in capsys.readouterr().out


@pytest.mark.parametrize(("slips", "code"), [(1, 0), (2, 2)])
def test_one_wrong_gold_answer_in_six_is_forgiven(made, tmp_path, slips, code):
    study = only_study(made)
    given = answers(study, 1, attentive(at_random(1)))
    gold = [i for i, screen in enumerate(study.sets[0]) if screen.gold is not None]
    for i in gold[:slips]:
        given["picks"][i] = given["picks"][i] % 9 + 1
    assert main(["study", "--store", made, "--import", write_answers(tmp_path, given)]) == code


def test_nobody_passes(made, table, capsys):
    before = Store(made).evaluations("shapes")
    table(at_random(1), code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--gold-right: expected a chooser with 80% of the gold questions right, got" in said
    assert Store(made).evaluations("shapes") == before


def test_the_same_study_again_is_the_same(made, tmp_path, capsys):
    before = only_study(made)
    again = ["study", "--store", made, "--sets", str(SETS), "--output", str(tmp_path / "page")]
    assert main(again) == 0
    assert main(again) == 0  # the earlier page is replaced
    assert only_study(made) == before
    said = capsys.readouterr().out
    assert f"Study {before.id[:8]} of shapes, train: {SETS} sets of 30 screens" in said
    assert f"open {tmp_path}/page/index.html" in said
    assert main(["report", "--store", made, "--output", str(tmp_path / "page")]) == 2
    assert "an earlier report, got" in capsys.readouterr().err


def test_the_page_says_neither_what_is_gold_nor_what_is_shown(made):
    page = Path(made).parent / "page"
    data = (page / "data" / "study.js").read_text()
    found = json.loads(data[data.index("{") : data.rindex("}") + 1])
    study = only_study(made)
    assert found["sets"] == [[[s.question, s.label] for s in set_] for set_ in study.sets]
    assert {*found} == {"study", "classes", "sheet", "sets"}
    html = (page / "index.html").read_text()
    assert "gold" not in data + html
    assert not [f for f in page.rglob("*") if f.is_file() and b"picture-" in f.read_bytes()]
    sheets = {str(f.relative_to(page / "data")) for f in page.rglob("*.webp")}
    assert sheets == {f"{set_}/{screen}.webp" for set_ in range(SETS) for screen in range(30)}


@pytest.mark.s3
def test_a_bucket_gets_the_same_page(s3_store, tmp_path, capsys):
    uri = str(tmp_path / "store")
    publish(uri)
    study = ["study", "--store", uri, "--sets", "2", "--screens", "8", "--gold", "2", "--output"]
    output = f"{s3_store}/pages/study"
    for _ in range(2):  # the second replaces the first
        assert main([*study, output]) == 0
    assert f"open {output}/index.html" in capsys.readouterr().out
    assert main([*study, str(tmp_path / "page")]) == 0
    local = {f"{f.relative_to(tmp_path / 'page')}" for f in tmp_path.glob("page/**/*.*")}
    assert {file.path for file in Storage(output).walk("")} == local
    assert main(["report", "--store", uri, "--output", output]) == 2
    assert "an earlier report, got" in capsys.readouterr().err


BAD = {
    "no such file": (None, "expected a file to read, got none"),
    "no JSON": ("{", "expected the JSON file of a study's page, got something else"),
    "no UTF-8": (b"\xff\xfe\x00", "expected the JSON file of a study's page, got something"),
    "deep": ("[" * 100_000, "expected the JSON file of a study's page, got something else"),
    "no object": ("[1]", "expected a JSON object, got [1]"),
    "too large": (b" " * 1_000_001, "expected a file of at most 1 MB, got a larger one"),
    "no study": ({"study": 3}, "expected 32 hex digits as study, got 3"),
    "a path as study": ({"study": "../../etc"}, "expected 32 hex digits as study, got '../../e"),
    "unknown study": ({"study": "0" * 32}, "expected answers to a study of"),
    "a hostile chooser": ({"chooser": "\x1b[31m" * 99}, "expected 32 hex digits as chooser, got"),
    "no set": ({"set": "1"}, "expected a number as set, got '1'"),
    "a set too far": ({"set": SETS + 1}, f"expected a set from 1 to {SETS}, got {SETS + 1}"),
    "a true set": ({"set": True}, "expected a number as set, got True"),
    "no list": ({"picks": "123"}, "expected a list of picks, got '123'"),
    "too few": ({"picks": [1] * 29}, "expected 30 picks, got 29"),
    "none of the nine": ({"picks": [10] * 30}, "expected picks from 1 to 9, got 10"),
    "a half": ({"picks": [1.5] * 30}, "expected picks from 1 to 9, got 1.5"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_each(made, typical, tmp_path, capsys, name):
    content, message = BAD[name]
    good = answers(only_study(made), 1, attentive(by_value(typical)))
    bad = tmp_path / "bad.json"
    if isinstance(content, dict):
        write_answers(tmp_path, {**good, **content}, "bad.json")
    elif content is not None:
        bad.write_bytes(content.encode() if isinstance(content, str) else content)
    files = [str(bad), write_answers(tmp_path, good), str(tmp_path / "none")]
    before = Store(made).evaluations("shapes")
    capsys.readouterr()
    assert main(["study", "--store", made, "--import", *files]) == 2
    said = capsys.readouterr().err.splitlines()
    assert not unprintable("".join(said))
    assert len(said) == 2
    (line,) = (line for line in said if f"{bad}:" in line)
    assert line.startswith(f"protoscore: error: --import {bad}: {message}")
    assert f"--import {tmp_path / 'none'}: expected a file to read" in " ".join(said)
    assert Store(made).evaluations("shapes") == before


def test_the_answers_of_a_chooser_count_once(made, typical, tmp_path, capsys):
    study = only_study(made)
    first = answers(study, 1, attentive(by_value(typical)))
    files = [write_answers(tmp_path, first), write_answers(tmp_path, first)]
    assert main(["study", "--store", made, "--import", *files, files[0]]) == 0
    said = capsys.readouterr()
    assert "files that repeat the answers of another, and do not count: 2" in said.err
    assert "Choosers: 1\n" in said.out
    other = answers(study, 2, attentive(by_value(typical)))
    files.append(write_answers(tmp_path, other))
    assert main(["study", "--store", made, "--import", *files]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"expected one file of each chooser, got other answers than in {files[0]}" in said


def test_answers_about_two_splits_are_refused(made, tmp_path, capsys):
    uri = str(tmp_path / "store")
    publish(uri)
    for split in ("train", "test"):
        page = str(tmp_path / f"page-{split}")
        study = ["study", "--store", uri, "--split", split, "--sets", "1"]
        assert main([*study, "--output", page]) == 0
    names = [path.stem for path in Path(uri, "studies").glob("*.json") if "copy" not in path.name]
    of_split = {s.split: s for s in (load_study(Storage(uri), name) for name in names)}
    files = [
        write_answers(tmp_path, answers(of_split[split], 1, at_random(1), i), f"{split}.json")
        for i, split in enumerate(("train", "test"))
    ]
    assert main(["study", "--store", uri, "--import", *files]) == 2
    assert (
        "expected answers about shapes train as in the others, got shapes test"
        in capsys.readouterr().err
    )


REFUSED = {
    "no sets": ("--sets 0", "--sets: expected a number from 1 to 1000, got 0"),
    "too few screens": ("--screens 3", "--screens: expected a number from 4 to 1000, got 3"),
    "no gold": ("--gold 1", "--gold: expected a number from 2 to half of the 30 screens, got 1"),
    "all gold": ("--gold 16", "--gold: expected a number from 2 to half of the 30 screens, got 16"),
    "a seed below": ("--seed -1", "--seed: expected 0 or more, got -1"),
    "no files": ("--import", "--import: expected one or more files, got none"),
    "both": ("--import f --sets 2", "--sets: expected it without --import, got both"),
    "metrics": ("--metrics agr", "--metrics: expected it with --import, got it without"),
    "a share": ("--import f --gold-right 2", "--gold-right: expected a share in [0, 1], got 2"),
    "no dataset": ("--dataset you", "--dataset: expected one of shapes, got 'you'"),
    "a page": ("--output p.html", "--output: expected a folder, since a study has several pages"),
    "a store": ("--output {store}", "--output: expected a new folder, an empty one or an earlier"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_flags_are_one_line(made, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    flags, message = REFUSED[name]
    capsys.readouterr()
    assert main(["study", "--store", made, *flags.format(store=made).split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {message}")
    assert said.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


def test_an_unknown_metric_is_named(made, typical, tmp_path, capsys):
    file = write_answers(tmp_path, answers(only_study(made), 1, attentive(by_value(typical))))
    assert main(["study", "--store", made, "--metrics", "nosuch", "--import", file]) == 2
    assert "--metrics: expected one of adv_l2, agr, noise, got 'nosuch'" in capsys.readouterr().err
    assert main(["study", "--store", made, "--metrics", "agr", "--import", file]) == 0
    found = {r["subject"] for r in Store(made).evaluations("shapes").to_pylist()}
    assert found == {"agr", "choosers"}


def test_texts_are_refused(tmp_path, capsys):
    uri = str(tmp_path / "store")
    publish(uri, texts=True)
    assert main(["study", "--store", uri, "--output", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert said == "protoscore: error: --dataset: expected a dataset of images, got texts\n"
    assert not Path(uri, "studies").exists()


def test_hostile_class_names(tmp_path, typical, capsys):
    uri = str(tmp_path / "store")
    publish(uri, NAMES)
    page = tmp_path / "page"
    assert main(["study", "--store", uri, "--sets", "2", "--output", str(page)]) == 0
    assert "<b>" not in (page / "index.html").read_text()
    script = (page / "data" / "study.js").read_text()
    found = json.loads(script[script.index("{") : script.rindex("}") + 1])
    assert found["classes"] == [*NAMES]
    file = write_answers(tmp_path, answers(only_study(uri), 1, attentive(at_random(1))))
    capsys.readouterr()
    assert main(["study", "--store", uri, "--import", file]) == 0
    assert main(["report", "--store", uri, "--output", str(tmp_path / "report")]) == 0
    assert not unprintable("".join(capsys.readouterr()))
    shown = (tmp_path / "report" / "evaluations.html").read_text()
    assert 'id="study_train"' in shown
    assert "picked as the worst" in shown
