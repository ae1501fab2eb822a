"""The round trip with Label Studio, on its documented format of tasks and annotations."""

import base64
import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from report_store import shapes
from review_store import CLASSES, ROWS, by_probability, only_queue, publish_judged, write_file

from ray_jobs.cli import main
from scoring.tables import Store

CHECKS = 60


def export(uri, folder, *flags) -> tuple[list[dict], str]:
    """Write the tasks of a queue; return them and the labeling interface."""
    file = folder / "tasks.json"
    output = ("--output", str(file), "--checks", str(CHECKS))
    assert main(["review", "--store", uri, "--to", "label-studio", *output, *flags]) == 0
    return json.loads(file.read_text()), (folder / "tasks-interface.xml").read_text()


@pytest.fixture
def uri(tmp_path):
    uri = str(tmp_path / "store")
    publish_judged(uri)
    return uri


def annotation(number: int, chosen: dict[str, str], **more) -> dict:
    """Return an annotation as https://labelstud.io/guide/task_format.html shows it."""
    return {
        "id": 1000 + number,
        "completed_by": 10,
        "result": [
            {
                "id": "Dx_aB91ISN",
                "from_name": name,
                "to_name": "example",
                "type": "choices",
                "origin": "manual",
                "value": {"choices": [choice]},
            }
            for name, choice in chosen.items()
        ],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-20T22:16:08.728353Z",
        "updated_at": "2026-11-20T22:16:08.728378Z",
        "lead_time": 4.288,
        "result_count": 0,
        "task": number,
        **more,
    }


def annotated(task: dict, number: int, *annotations: dict) -> dict:
    """Return a task as it is exported."""
    times = {"created_at": "2026-11-20T21:52:49.513742Z", "updated_at": "2026-11-20T22:16:08Z"}
    return {
        "id": number,
        **times,
        "project": 83,
        "data": task["data"],
        "annotations": [*annotations],
        "predictions": [{**task["predictions"][0], "created_ago": "3 hours"}],
    }


def decided(uri) -> dict[int, tuple[str, int | None]]:
    rows = Store(uri).verdicts("shapes", "train").to_pylist()
    return {row["example_id"]: (row["decision"], row["decided_label"]) for row in rows}


def test_tasks_have_examples_and_predictions(uri, tmp_path):
    tasks, interface = export(uri, tmp_path)
    queue = only_queue(uri)
    images = shapes(ROWS, len(CLASSES), seed=1).images
    assert len(tasks) == CHECKS
    for task, check in zip(tasks, queue.checks, strict=True):
        data = task["data"]
        assert (data["queue"], data["example_id"]) == (queue.id, check.example_id)
        assert (data["given"], data["suggested"]) == (
            CLASSES[check.label],
            CLASSES[check.suggested],
        )
        head, _, png = data["example"].partition(",")
        assert head == "data:image/png;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
        assert np.array_equal(pixels, images[check.example_id][..., 0])
        (prediction,) = task["predictions"]
        assert prediction["score"] == check.wrong
        (result,) = prediction["result"]
        assert result["type"] == "choices"
        assert result["value"] == {"choices": [CLASSES[check.suggested]]}
        named = (result["from_name"], result["to_name"])
        view = ElementTree.fromstring(interface)
        assert named in [(c.get("name"), c.get("toName")) for c in view.findall("Choices")]
    image = view.find("Image")
    assert (image.get("name"), image.get("value")) == ("example", "$example")
    choices = {
        c.get("name"): [choice.get("value") for choice in c] for c in view.findall("Choices")
    }
    assert choices == {"label": [*CLASSES], "verdict": ["ambiguous", "exclude"]}


def test_annotations_become_verdicts(uri, tmp_path, capsys):
    tasks, _ = export(uri, tmp_path)
    checks = only_queue(uri).checks
    done, wanted = [], {}
    for n, (task, check) in enumerate(zip(tasks, checks, strict=True)):
        decision, label = by_probability(check)
        chosen = {"label": CLASSES[check.label if label is None else label]}
        if n % 10 == 4:
            decision, label = ("ambiguous", "exclude")[n % 20 == 4], None
            chosen["verdict"] = decision  # the prediction's class stays chosen beside it
        skipped = n % 10 == 7
        wanted[check.example_id] = ("skip", None) if skipped else (decision, label)
        done.append(annotated(task, n, annotation(n, chosen, was_cancelled=skipped)))
    empty = annotation(99, {})
    wanted[checks[0].example_id] = "skip", None
    done[0] = annotated(tasks[0], 0, empty)
    file = write_file(tmp_path, done, "export.json")
    capsys.readouterr()
    assert main(["review", "--store", uri, "--import", file]) == 0
    assert decided(uri) == wanted
    assert "by 1 reviewer (Label Studio user 10)" in capsys.readouterr().out
    assert main(["review", "--store", uri, "--import", file]) == 0
    assert ": 0 new;" in capsys.readouterr().out


def test_annotators_are_reviewers_and_their_newest_annotation_counts(uri, tmp_path):
    tasks, _ = export(uri, tmp_path)
    by_mail = {"id": 3, "email": "bob@example.com", "first_name": "", "last_name": ""}
    later = {"updated_at": "2026-11-21T00:00:00.000000Z"}
    made = [
        annotation(1, {"verdict": "exclude"}, **later),
        annotation(2, {"verdict": "ambiguous"}),
        annotation(3, {"verdict": "ambiguous"}, completed_by=by_mail),
        annotation(4, {"label": CLASSES[0]}, completed_by="carol@example.com"),
    ]
    file = write_file(tmp_path, [annotated(tasks[0], 0, *made)], "export.json")
    assert main(["review", "--store", uri, "--import", file]) == 0
    rows = Store(uri).verdicts().to_pylist()
    assert {row["reviewer"]: row["decision"] for row in rows} == {
        "Label Studio user 10": "exclude",
        "bob@example.com": "ambiguous",
        "carol@example.com": "keep" if only_queue(uri).checks[0].label == 0 else "relabel",
    }


def test_texts_make_the_trip_too(tmp_path):
    uri = str(tmp_path / "store")
    texts = [f"text {i} of many & more" for i in range(ROWS)]
    publish_judged(uri, examples=replace(shapes(ROWS, len(CLASSES), seed=1), texts=texts))
    tasks, interface = export(uri, tmp_path)
    assert [t["data"]["example"] for t in tasks] == [
        f"text {c.example_id} of many & more" for c in only_queue(uri).checks
    ]
    assert ElementTree.fromstring(interface).find("Text").get("value") == "$example"


def test_names_that_xml_cannot_hold(tmp_path):
    uri, classes = str(tmp_path / "store"), ('a"<b>&', "two\nlines", "nul\x00")
    publish_judged(uri, classes)
    tasks, interface = export(uri, tmp_path)
    ElementTree.fromstring(interface)
    done = [
        annotated(t, n, annotation(n, {"label": t["data"]["suggested"]}))
        for n, t in enumerate(tasks)
    ]
    file = write_file(tmp_path, done, "export.json")
    assert main(["review", "--store", uri, "--import", file]) == 0
    assert decided(uri) == {
        c.example_id: ("keep", None) if c.suggested == c.label else ("relabel", c.suggested)
        for c in only_queue(uri).checks
    }


BAD = {
    "no task": (lambda t: [3], "expected tasks of Label Studio's JSON export, with data, got 3"),
    "not annotated": (lambda t: [{"data": {}}], "JSON export, with annotations, got"),
    "others": (
        lambda t: [{"data": {"image": "x"}, "annotations": []}],
        "expected tasks that protoscore review wrote, got one without a queue",
    ),
    "no annotation": (lambda t: [annotated(t, 1, 3)], "expected an annotation as an object, got 3"),
    "no class": (
        lambda t: [annotated(t, 1, annotation(1, {"label": "sock"}))],
        "expected one of the classes, got 'sock'",
    ),
    "no verdict": (
        lambda t: [annotated(t, 1, annotation(1, {"verdict": "sock"}))],
        "expected one of keep, relabel, ambiguous, exclude, skip, got 'sock'",
    ),
    "another control": (
        lambda t: [annotated(t, 1, annotation(1, {"mood": "sock"}))],
        "expected choices of label or verdict, got ['mood']",
    ),
    "nobody": (
        lambda t: [annotated(t, 1, annotation(1, {"label": "bag"}, completed_by=None))],
        "expected a user as completed_by, got None",
    ),
    "no time": (
        lambda t: [annotated(t, 1, annotation(1, {"label": "bag"}, updated_at="soon"))],
        "expected a time in ISO 8601 as decided_at, got 'soon'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_exports_are_one_line(uri, tmp_path, capsys, name):
    tasks, _ = export(uri, tmp_path)
    make, message = BAD[name]
    file = write_file(tmp_path, make(tasks[0]), "export.json")
    capsys.readouterr()
    assert main(["review", "--store", uri, "--import", file]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: --import {file}: ")
    assert message in said
    assert said.count("\n") == 1
    assert decided(uri) == {}
