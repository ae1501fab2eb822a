"""The page of a label review as a reviewer sees it, opened from disk in Chromium."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import chromium
import pytest
from PIL import Image
from report_store import shade, shaded, shapes
from review_store import ROWS, by_probability, only_queue, publish_judged
from reviewing import AT, SEEN, decide_all, start

from ray_jobs.cli import main
from scoring.tables import Store

pytestmark = chromium.NEEDED
CLASSES = ("bag", "=<b>coat</b> &amp;", "shoe " + "very long " * 300, "cap")
CHECKS = 200
DRAWN = "document.querySelector('#picture [data-drawn]') !== null"
KEPT = "JSON.parse(Object.values(localStorage)[0])"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a queue, its page beside it."""
    uri = str(tmp_path_factory.mktemp("review") / "store")
    publish_judged(uri, CLASSES, shaded(ROWS, len(CLASSES), seed=1))
    page = str(Path(uri).parent / "page")
    assert main(["review", "--store", uri, "--output", page]) == 0
    return uri


@pytest.fixture
def page(browser, address, tmp_path):
    """The browser without any progress. Errors and requests to other hosts fail the test."""
    chromium.forget_progress(browser, address)
    browser.save_to(tmp_path / "downloads")
    with chromium.quiet(browser, width=1400) as tab:
        yield tab


def download(page, button, pattern):
    page.evaluate(f"document.getElementById({button!r}).click()")
    return page.downloaded(pattern)


def test_two_hundred_labels_are_checked_with_keys(page, store, address, capsys):
    queue = only_queue(store)
    wanted, pressed = {}, []
    for n, check in enumerate(queue.checks):
        (decision, label), letters = by_probability(check), ""
        if n % 10 == 3:
            decision, label = ("ambiguous", "exclude", "skip")[n // 10 % 3], None
        if n % 20 == 9 and check.label != 3:
            decision, label, letters = "relabel", 3, "CAP"
        wanted[check.example_id] = decision, label
        pressed.append((decision, letters))
    start(page, address)
    decide_all(page, pressed)
    assert page.evaluate("document.getElementById('progress').value") == CHECKS
    file = download(page, "download", "*.json")
    found = json.loads(file.read_text())
    assert (found["queue"], found["reviewer"]) == (queue.id, "ann")
    made = {d["example_id"]: (d["decision"], d["label"]) for d in found["decisions"]}
    assert made == wanted
    assert file.name == f"review-{queue.id[:8]}-ann.json"

    assert main(["review", "--store", store, "--import", str(file)]) == 0
    assert f"{CHECKS} new" in capsys.readouterr().out
    rows = Store(store).verdicts("shapes", "train").to_pylist()
    assert {r["example_id"]: (r["decision"], r["decided_label"]) for r in rows} == wanted
    assert {row["reviewer"] for row in rows} == {"ann"}

    sheet = download(page, "download-csv", "*.csv")
    text = sheet.read_bytes().decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [int(line["example_id"]) for line in lines] == [c.example_id for c in queue.checks]
    given = {line["given"] for line in lines}
    assert given == {CLASSES[0], f"'{CLASSES[1]}", CLASSES[2], CLASSES[3]}


def test_progress_is_kept_and_undone(page, store, address):
    start(page, address, "Zoë")
    for n in range(4):
        page.until(f"{AT} === {n}")
        page.press("k")
    page.until(f"{AT} === 4")
    assert page.evaluate("Object.keys(localStorage)") == [
        f"protoscore review {only_queue(store).id}"
    ]
    page.open(address)
    page.until(f"{AT} === 4")
    page.press("u")
    page.until(f"{AT} === 3")
    page.press("Backspace")
    page.until(f"{AT} === 2")
    assert page.evaluate("document.getElementById('where').textContent") == f"2 of {CHECKS}"
    assert page.evaluate(f"{KEPT}.trail.length") == 2
    page.evaluate("localStorage.setItem(Object.keys(localStorage)[0], '{\"decisions\": 99}')")
    page.open(address)
    page.until(f"{SEEN} === 'intro'")


def test_skipped_labels_come_again(page, store, address):
    queue = only_queue(store)
    start(page, address)
    decided = {
        check.example_id: {"decision": "keep", "label": None, "decided_at": "2026-11-20T09:00:00Z"}
        for check in queue.checks[1:]
    }
    kept = {"reviewer": "ann", "decisions": decided, "trail": []}
    page.evaluate(f"localStorage.setItem('protoscore review {queue.id}', '{json.dumps(kept)}')")
    page.open(address)
    page.until(f"{AT} === 0")
    page.press("s")
    page.until(f"{SEEN} === 'done'")
    page.evaluate("document.getElementById('again').click()")
    page.until(f"{SEEN} === 'screen' && {AT} === 0")
    page.press("k")
    page.until(f"{SEEN} === 'done'")
    assert page.evaluate("document.getElementById('again').hidden")
    page.press("u")
    page.until(f"{SEEN} === 'screen' && {AT} === 0")


def test_a_reviewer_goes_on_from_a_file(page, store, address):
    start(page, address)
    for n, key in enumerate("kax"):
        page.until(f"{AT} === {n}")
        page.press(key)
    file = download(page, "download", "*.json")
    page.evaluate("localStorage.clear()")
    page.open(address)
    page.until(f"{SEEN} === 'intro'")
    put_file(page, file)
    page.until(f"{SEEN} === 'screen' && {AT} === 3")
    assert page.evaluate(f"{KEPT}.reviewer") == "ann"
    file.write_text(file.read_text().replace(only_queue(store).id, "0" * 32))
    put_file(page, file)
    page.until("!document.getElementById('error').hidden")
    error = "document.getElementById('error').textContent"
    assert page.evaluate(error).endswith("got one of another queue")
    file.write_text("{")
    put_file(page, file)
    page.until(f"{error}.endsWith('got something else')")
    assert page.evaluate(AT) == 3


def put_file(page, file: Path) -> None:
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#open")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)


def test_the_picker_follows_what_is_typed(page, store, address):
    start(page, address)
    page.press("c")
    options = "[...document.querySelectorAll('#classes li')].map(o => o.textContent)"
    assert page.evaluate(options) == [*CLASSES]
    assert page.evaluate("document.querySelectorAll('#classes b').length") == 0
    page.type("a")
    assert page.evaluate(options) == [CLASSES[0], CLASSES[1], "cap"]
    page.type("zz")
    assert page.evaluate(options) == ["no class has this in its name"]
    page.press("Enter")
    assert page.evaluate("document.getElementById('picker').open")
    page.press("Escape")
    page.until("!document.getElementById('picker').open")
    assert page.evaluate(AT) == 0
    label = only_queue(store).checks[0].label
    page.press("c")
    for _ in range(label):
        page.press("ArrowDown")
    page.press("Enter")  # the given class: the label stays
    page.until(f"{AT} === 1")
    assert page.evaluate(f"Object.values({KEPT}.decisions)[0].decision") == "keep"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1400, 900)])
def test_every_screen_fits_whatever_its_class_is_called(page, store, address, width, height):
    page.resize(width, height)
    start(page, address)
    for n, check in enumerate(only_queue(store).checks[:6]):
        page.until(f"{AT} === {n} && {DRAWN}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('b').length") == 0
        assert page.evaluate("document.getElementById('given').textContent") == CLASSES[check.label]
        for place in ("picture", "keep", "undo"):
            box = f"document.getElementById({place!r}).getBoundingClientRect()"
            assert page.evaluate(f"{box}.bottom") <= height
            assert page.evaluate(f"{box}.top") >= 0
        for key in page.evaluate(
            "[...document.querySelectorAll('.decisions kbd')].map(k => k.offsetWidth)"
        ):
            assert key > 0
        page.press("k")


def test_pictures_are_those_of_the_queue(page, store, address, tmp_path):
    start(page, address)
    queue = only_queue(store)
    scores = {
        r["example_id"]: r for r in Store(store).scores("shapes", "train", "adv_l2").to_pylist()
    }
    for n, check in enumerate(queue.checks[:4]):
        page.until(f"{AT} === {n} && {DRAWN}")
        page.until("document.querySelectorAll('.row canvas:not([data-drawn])').length === 0")
        page.screenshot(tmp_path / "screen.png")
        screenshot = Image.open(tmp_path / "screen.png").convert("L")
        middles = page.evaluate(
            "[...document.querySelectorAll('#picture canvas, .row canvas')].map(canvas => {"
            " const box = canvas.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })"
        )
        found = sorted(screenshot.getpixel((round(x), round(y))) for x, y in middles)
        checked = {c.example_id for c in queue.checks}
        ids = [check.example_id]
        for label in {check.label, check.suggested}:
            of_class = [
                r for r in scores.values()
                if r["label"] == r["predicted"] == label and r["example_id"] not in checked
            ]  # fmt: skip
            ids += [r["example_id"] for r in sorted(of_class, key=lambda r: -r["rank"])[:4]]
        assert found == pytest.approx(sorted(map(shade, ids)), abs=1)
        page.press("k")


def test_texts_are_shown_too(browser, tmp_path):
    uri, page = str(tmp_path / "store"), tmp_path / "page"
    texts = [f"text & more {i}\n" + "word " * (i % 400) for i in range(ROWS)]
    publish_judged(uri, CLASSES, replace(shapes(ROWS, len(CLASSES), seed=1), texts=texts))
    assert main(["review", "--store", uri, "--output", str(page), "--checks", "30"]) == 0
    browser.resize(390, 844)
    browser.complaints.clear()
    start(browser, (page / "index.html").as_uri())
    for n, check in enumerate(only_queue(uri).checks[:8]):
        browser.until(f"{AT} === {n} && {DRAWN}")
        shown = browser.evaluate("document.querySelector('#picture .text').textContent")
        assert shown.split() == texts[check.example_id].split()
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        browser.press("k")
    assert browser.complaints == []
