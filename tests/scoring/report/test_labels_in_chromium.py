"""The pages of labels, classes and changes as a reader sees them, opened from disk in Chromium."""

import csv
import io
import time
from dataclasses import replace
from datetime import timedelta

import chromium
import pytest
import report_store
from report_folder import write
from report_labels import Issue, publish_labels
from report_store import METRICS, publish_scores, shapes, write_dataset

from ray_jobs.terminal.correction_lines import read_wishes
from scoring.store.storage import Storage

pytestmark = chromium.NEEDED
CLASSES = ("=circle", "<b>square</b>", "star")
TRAIN = (
    Issue(30, 1, 0.96),
    Issue(7, 2, 0.9, "out of place"),
    Issue(1, 0, 0.3, "ambiguous"),
    Issue(33, 2, 0.28, "ambiguous"),
    Issue(36, 1, 0.03, "rare but right"),
)
TEST = (Issue(5, 0, 0.8),)
IDS = "[...document.querySelectorAll('#grid .thumb')].map(thumb => Number(thumb.dataset.id))"
CAPTIONS = "[...document.querySelectorAll('#grid .caption')].map(it => it.innerText)"
FOUND = "document.getElementById('found').innerText"
DIALOG = "document.getElementById('example')"
BUTTON = "[...document.querySelectorAll('#selection button')].find(it => it.innerText === {!r})"


@pytest.fixture(scope="module")
def report(tmp_path_factory, examples):
    """A report on two nights, with judged labels."""
    folder = tmp_path_factory.mktemp("labels")
    storage = Storage(str(folder / "store"))
    value = examples["test"].values["adv_l2"].copy()
    value[4] = -1.0
    later = replace(examples["test"], values={**examples["test"].values, "adv_l2": value})
    for night, test in enumerate((examples["test"], later), start=1):
        of_night = {**examples, "test": test}
        versions = write_dataset(storage, "shapes", of_night, CLASSES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(report_store, "STARTED", report_store.STARTED + timedelta(days=night))
            publish_scores(storage, "shapes", versions, of_night, night=night)
    for split, issues in (("train", TRAIN), ("test", TEST)):
        publish_labels(storage, "shapes", versions[split], examples[split].label, issues)
    return write(storage.uri, METRICS, folder / "report").as_uri()


def opened(page, address):
    """Open a page and wait until everything on it is drawn."""
    page.open(address)
    drawn = "!document.querySelector('.thumb canvas:not([data-drawn])')"
    page.until(f"document.querySelector('.thumb') && {drawn}")


def choose(page, name, value):
    """Set the control with this id as a reader would."""
    page.evaluate(
        f"(it => {{ it.value = {value!r}; for (const kind of ['input', 'change'])"
        " it.dispatchEvent(new Event(kind, {bubbles: true})); })"
        f"(document.getElementById({name!r}))"
    )


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", ["labels", "index", "examples", "changes"])
def test_pages_fit_the_screen_and_have_captions(page, report, name, width):
    page.resize(width, 800)
    opened(page, f"{report}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.getElementById('error').hidden")
    assert page.evaluate("document.querySelectorAll('b').length") == 0
    tiles = "document.querySelectorAll('.tile').length"
    assert page.evaluate(tiles) == page.evaluate("document.querySelectorAll('.caption').length") > 0


def test_issues_are_listed_in_their_order_and_filtered(page, report):
    opened(page, f"{report}/labels.html")
    assert page.evaluate(IDS) == [30, 7, 1, 33, 36]
    assert page.evaluate(CAPTIONS)[0] == "=circle → <b>square</b>\n96%\nwrong label"
    choose(page, "kind", "1")
    page.until(f"{FOUND} === '2 labels'")
    assert page.evaluate(IDS) == [1, 33]
    choose(page, "suggested", "2")
    page.until(f"{FOUND} === '1 label'")
    assert page.evaluate(IDS) == [33]
    choose(page, "kind", "")
    choose(page, "class", "1")
    page.until(f"{IDS}.join() === '7'")
    page.evaluate("document.querySelector('[name=split][value=test]').click()")
    page.until(f"{FOUND} === 'No labels match.'")
    choose(page, "suggested", "")
    choose(page, "class", "")
    page.until(f"{IDS}.join() === '95'")


def test_an_issue_opens_and_its_neighbours_follow(page, report):
    opened(page, f"{report}/labels.html")
    page.evaluate("document.querySelector('[data-id=\"30\"]').click()")
    page.until(f"{DIALOG}.open")
    text = page.evaluate(f"{DIALOG}.innerText")
    assert "Label wrong with probability 96%: <b>square</b> suggested" in text
    assert "1 of 5" in text
    page.press("ArrowRight")
    page.until(f"{DIALOG}.innerText.includes('train example 7 ')")
    page.press("Escape")
    page.until(f"!{DIALOG}.open")


def test_the_overview_leads_with_the_likeliest_mistakes(page, report):
    opened(page, f"{report}/index.html")
    shown = "[...document.querySelectorAll('#suspects .thumb')].map(it => Number(it.dataset.id))"
    page.until(f"{shown}.length === 6")
    assert page.evaluate(shown) == [30, 7, 1, 33, 36, 95]
    page.evaluate("document.querySelector('#suspects [data-id=\"7\"]').click()")
    deadline = time.monotonic() + 20  # a promise would not outlive the page
    while not page.evaluate("location.pathname.endsWith('labels.html')"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page.until(f"document.readyState === 'complete' && {DIALOG}.open")
    assert "train example 7 " in page.evaluate(f"{DIALOG}.innerText")


def test_the_selected_are_downloaded_as_corrections(page, report, tmp_path):
    opened(page, f"{report}/labels.html")
    page.save_to(tmp_path)
    boxes = "document.querySelectorAll('.select input')"
    page.evaluate(f"{boxes}[0].click()")
    page.evaluate(f"{boxes}[4].click()")
    page.evaluate("document.querySelectorAll('.thumb')[2].focus()")
    page.press("x")
    page.evaluate("document.querySelector('[name=split][value=test]').click()")
    page.until(f"{IDS}.join() === '95'")
    page.evaluate(f"{BUTTON.format('Select all 1')}.click()")
    page.until("document.querySelector('#selection').innerText.includes('4 selected')")
    page.evaluate(f"{BUTTON.format('Download CSV')}.click()")
    file = page.downloaded("labels.csv")
    rows = [[*row.values()] for row in csv.DictReader(io.StringIO(file.read_text()))]
    assert rows == [  # an apostrophe keeps spreadsheets from running a name
        ["30", "train", "picture-30.png", "<b>square</b>", "'=circle"],
        ["36", "train", "picture-36.png", "'=circle", "'=circle"],
        ["1", "train", "picture-1.png", "'=circle", "<b>square</b>"],
        ["95", "test", "picture-5.png", "'=circle", "star"],
    ]
    wishes = read_wishes(str(file))
    assert [(wish.split, wish.example_id) for wish in wishes] == [
        ("train", 30),
        ("train", 36),
        ("train", 1),
        ("test", 95),
    ]
    page.evaluate(f"{BUTTON.format('Clear')}.click()")
    assert page.evaluate("document.querySelectorAll('.select :checked').length") == 0


def test_a_cell_of_the_matrix_opens_its_examples(page, report, examples):
    page.open(f"{report}/classes.html")
    cell = ".confusion[data-split=test] tbody tr:nth-child(1) td:nth-child(3) a"
    link, number = page.evaluate(
        f"(it => [it.href, it.innerText])(document.querySelector({cell!r}))"
    )
    test = examples["test"]
    wanted = [90 + row for row in range(66) if (test.label[row], test.predicted[row]) == (0, 1)]
    assert int(number) == len(wanted)
    opened(page, link)
    assert sorted(page.evaluate(IDS)) == wanted
    assert page.evaluate("document.getElementById('predicted').value") == "1"
    assert all(text.startswith("=circle → <b>square</b>") for text in page.evaluate(CAPTIONS))


def test_a_range_of_the_histogram_is_brushed(page, report, examples):
    opened(page, f"{report}/examples.html#metric=agr&split=train")
    assert page.evaluate("document.querySelectorAll('.bars i').length") == 60
    left, top, width = page.evaluate(
        "(box => [box.x, box.y, box.width])"
        "(document.querySelector('.bars').getBoundingClientRect())"
    )
    for kind, share in (("mousePressed", 0.01), ("mouseMoved", 0.3), ("mouseReleased", 0.4)):
        page.call(
            "Input.dispatchMouseEvent", type=kind, x=left + share * width, y=top + 30,
            button="left", buttons=1, clickCount=1,
        )  # fmt: skip
    page.until(f"location.hash.includes('bins=0-') && {FOUND} !== '90 examples'")
    last = int(page.evaluate("location.hash").split("bins=0-")[1].split("&")[0])
    assert 24 <= last <= 25
    values = examples["train"].values["agr"]
    shown = page.evaluate(IDS)
    assert 0 < len(shown) < 90
    assert max(values[shown]) <= min(set(values.tolist()) - set(values[shown].tolist()))
    page.evaluate("document.querySelector('.extent button').click()")
    page.until(f"{FOUND} === '90 examples'")
    page.evaluate("document.querySelectorAll('.handles input')[0].focus()")
    page.press("ArrowRight")
    page.until("location.hash.includes('bins=1-60')")
    choose(page, "metric", "adv_l2")
    page.until("!location.hash.includes('bins')")


def test_changes_since_the_night_before_are_shown(page, report):
    opened(page, f"{report}/changes.html#split=test&metric=adv_l2&kind=newly")
    assert page.evaluate(IDS) == [94]
    assert page.evaluate(CAPTIONS)[0].endswith("→ 0.0")
    assert page.evaluate("document.getElementById('metric').value") == "adv_l2"
    choose(page, "kind", "relabelled")
    page.until(f"{FOUND} === 'No example changed in this way.'")


def test_of_many_metrics_those_behind_the_front_are_folded(page, tmp_path):
    names = [f"metric_{i}" for i in range(8)]
    metrics = [replace(METRICS[0], name=name) for name in names]
    examples = {split: shapes(30, 2, seed=6) for split in ("train", "test")}
    value = examples["test"].values["adv_l2"]
    values = {name: value if name == "metric_3" else value[::-1] for name in names}
    examples = {split: replace(of, values=values) for split, of in examples.items()}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples, metrics)
    address = write(storage.uri, metrics, tmp_path / "report").as_uri()
    opened(page, f"{address}/examples.html")
    assert page.evaluate("document.getElementById('metric').value") == "metric_3"  # the best
    page.evaluate("document.querySelector('.thumb').click()")
    page.until(f"{DIALOG}.open")
    rows = f"[...{DIALOG}.querySelectorAll('.percentiles tbody tr:not([hidden], .purpose)')].length"
    assert page.evaluate(rows) == 5
    page.evaluate(f"{DIALOG}.querySelector('.more').click()")
    assert page.evaluate(rows) == 8
