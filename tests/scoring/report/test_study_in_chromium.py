"""The page of a human study as a chooser sees it, opened from disk in Chromium."""

import json
from pathlib import Path

import chromium
import pytest
from PIL import Image
from report_store import publish_scores, shade, shaded, shapes, write_dataset
from study_choosers import answers, attentive, by_value, only_study

from ray_jobs.cli import main
from scoring.analysis.human_picks import Answers
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage

pytestmark = chromium.NEEDED
CLASSES = ("circle", "<b>square</b> &amp; " + "very long " * 300)
SCREENS = 30
DRAWN = "document.getElementById('pictures').dataset.drawn"
WHERE = "document.getElementById('where').innerText"
SEEN = "['intro', 'screen', 'done'].filter(id => !document.getElementById(id).hidden)"
QUESTION = "document.querySelector('.question:not([hidden]) h1').innerText"
PRESSED = "[...document.querySelectorAll('.picture')].findIndex(p => p.ariaPressed === 'true')"
FOCUSED = "[...document.querySelectorAll('.picture')].indexOf(document.activeElement)"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a study, its page beside it."""
    uri = str(tmp_path_factory.mktemp("study") / "store")
    ensure_marked(Storage(uri))
    examples = {"train": shaded(120, 2), "test": shapes(120, 2, side=28)}
    versions = write_dataset(Storage(uri), "shapes", examples, CLASSES)
    publish_scores(Storage(uri), "shapes", versions, examples)
    page = str(Path(uri).parent / "page")
    assert main(["study", "--store", uri, "--sets", "3", "--output", page]) == 0
    return uri


@pytest.fixture
def page(browser, address, tmp_path):
    """The browser without any progress. Errors and requests to other hosts fail the test."""
    chromium.forget_progress(browser, address)
    browser.save_to(tmp_path / "downloads")
    with chromium.quiet(browser) as tab:
        yield tab


def start(page, address, set_=2):
    page.open(f"{address}#set={set_}")
    page.until(f"({SEEN})[0] === 'intro'")
    page.press("Enter")
    page.until(f"{DRAWN} === '{set_ - 1}/0'")


def test_a_chooser_goes_through_all_screens_with_keys(page, store, address, capsys):
    study = only_study(store)
    taste = attentive(by_value({i: i for i in range(200)}))
    given = answers(study, 2, taste)
    start(page, address)
    for number, pick in enumerate(given["picks"]):
        page.until(f"{DRAWN} === '1/{number}'")
        assert page.evaluate(WHERE) == f"{number + 1} of {SCREENS}"
        assert study.sets[1][number].question in page.evaluate(QUESTION)
        page.press(str(pick))
    page.until(f"({SEEN})[0] === 'done'")
    assert page.evaluate("document.getElementById('progress').value") == SCREENS
    assert page.evaluate("document.getElementById('another').hidden")
    page.evaluate("document.getElementById('download').click()")
    file = page.downloaded("answers-*.json")
    found = json.loads(file.read_text())
    assert found == {**given, "chooser": found["chooser"]}
    assert Answers(screens=study.sets[1], picks=[p - 1 for p in found["picks"]]).right == 6
    assert main(["study", "--store", store, "--import", str(file)]) == 0
    assert "Choosers: 1\n" in capsys.readouterr().out
    page.evaluate("document.getElementById('another').click()")
    page.until(f"({SEEN})[0] === 'intro'")
    kept = json.loads(page.evaluate("Object.values(localStorage)[0]"))
    assert kept["picks"] == []
    assert kept["chooser"] != found["chooser"]


def test_progress_is_kept_in_the_browser(page, store, address):
    start(page, address, 3)
    for number in range(4):
        page.until(f"{DRAWN} === '2/{number}'")
        page.press("7")
    page.until(f"{DRAWN} === '2/4'")
    assert page.evaluate("Object.keys(localStorage)") == [
        f"protoscore study {only_study(store).id}"
    ]
    page.open(address)  # without a set: the one that was begun
    page.until(f"{DRAWN} === '2/4'")
    assert page.evaluate("document.getElementById('progress').value") == 4
    page.evaluate("localStorage.setItem(Object.keys(localStorage)[0], '{\"set\": 99}')")
    page.open(address)
    page.until(f"({SEEN})[0] === 'intro'")


def test_answers_can_be_changed(page, address):
    start(page, address)
    page.press("4")
    page.until(f"{DRAWN} === '1/1'")
    assert page.evaluate(PRESSED) == -1
    page.press("Backspace")
    page.until(f"{DRAWN} === '1/0'")
    assert page.evaluate(PRESSED) == 3
    page.press("9")
    page.until(f"{DRAWN} === '1/1'")
    page.evaluate("document.getElementById('back').click()")
    page.until(f"{DRAWN} === '1/0'")
    assert page.evaluate(PRESSED) == 8
    assert page.evaluate("document.getElementById('back').disabled")
    page.evaluate("document.getElementById('next').click()")
    page.until(f"{DRAWN} === '1/1'")
    assert page.evaluate("document.getElementById('next').disabled")


def test_arrows_and_clicks_pick_too(page, address):
    start(page, address)
    assert page.evaluate(FOCUSED) == -1  # no picture is suggested
    for key, at in (("ArrowDown", 0), ("ArrowRight", 1), ("ArrowDown", 4), ("ArrowLeft", 3)):
        page.press(key)
        assert page.evaluate(FOCUSED) == at
    page.press("ArrowUp")
    page.press("ArrowUp")  # there is nothing above
    assert page.evaluate(FOCUSED) == 0
    page.press("Enter")
    page.until(f"{DRAWN} === '1/1'")
    page.evaluate("document.querySelectorAll('.picture')[5].click()")
    page.until(f"{DRAWN} === '1/2'")
    kept = json.loads(page.evaluate("Object.values(localStorage)[0]"))
    assert kept["picks"] == [0, 5]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1440, 900)])
def test_every_screen_fits_whatever_its_class_is_called(page, store, address, width, height):
    page.resize(width, height)
    start(page, address)
    labels = {screen.label for screen in only_study(store).sets[1][:4]}
    assert labels == {0, 1}
    for number in range(4):
        page.until(f"{DRAWN} === '1/{number}'")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        bottom = "document.getElementById('pictures').getBoundingClientRect().bottom"
        assert page.evaluate(bottom) <= height
        assert page.evaluate("document.querySelectorAll('b').length") == 0
        name = CLASSES[only_study(store).sets[1][number].label]
        shown = "document.querySelector('.question:not([hidden]) bdi').textContent"
        assert page.evaluate(shown) == name
        page.press("1")


def test_pictures_are_those_of_the_design(page, store, address, tmp_path):
    start(page, address)
    page.screenshot(tmp_path / "screen.png")
    screenshot = Image.open(tmp_path / "screen.png").convert("L")
    middles = page.evaluate(
        "[...document.querySelectorAll('.picture canvas')].map(canvas => {"
        " const box = canvas.getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2]; })"
    )
    found = [screenshot.getpixel((round(x), round(y))) for x, y in middles]
    expected = [shade(i) for i in only_study(store).sets[1][0].shown]
    assert found == pytest.approx(expected, abs=1)


def test_a_missing_screen_is_reported(page, store, address, tmp_path):
    start(page, address)
    sheet = Path(store).parent / "page" / "data" / "1" / "2.webp"
    moved = sheet.rename(tmp_path / "moved")
    page.press("1")
    page.until(f"{DRAWN} === '1/1'")
    page.press("1")
    page.until("!document.getElementById('error').hidden")
    assert "got no image" in page.evaluate("document.getElementById('error').innerText")
    moved.rename(sheet)
    page.complaints.clear()
