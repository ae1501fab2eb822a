"""The page as a reader sees it."""

import chromium
import pytest
from report_store import TEXTS, publish_scores, shapes, write_dataset

from scoring.report import build, render, take_snapshot
from scoring.storage import Storage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not chromium.is_installed(), reason=f"needs {chromium.PROGRAM}: apt-get install chromium"
    ),
]
CHOSEN = "document.querySelector('[aria-selected=true]').dataset.metric"
SPLIT = "document.querySelector('[name=split]:checked').value"
IDS = "[...document.querySelectorAll('.thumb')].map(thumb => Number(thumb.dataset.id))"
CARD = "document.getElementById('card').innerText"
FOCUSED = "Number(document.activeElement.dataset.id)"


def write_page(uri, folder):
    path = folder / "report.html"
    path.write_text(render(build(take_snapshot(uri), TEXTS)))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.start(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def address(store, tmp_path_factory):
    return write_page(store, tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser, address):
    """The page at its default size; whatever it complains of fails the test."""
    browser.resize(1280, 900)
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(address)
    yield browser
    assert browser.complaints == []
    assert all(url.startswith(("data:", "file:", "about:")) for url in browser.requests)


def expected_ids(examples, split, metric, first_id):
    """What a grid holds, from left to right and from top to bottom."""
    of_split = examples[split]
    typical = of_split.values[metric] * (1 if metric == "adv_l2" else -1)
    ids = []
    for label in range(3):
        members = [i for i in typical.argsort() if of_split.label[i] == label]
        ids += [int(i) + first_id for i in members]  # fewer than 2 x 25: all of them
    return ids


def test_it_opens_with_every_image_loaded(page, examples):
    assert page.ask(IDS) == expected_ids(examples, "test", "adv_l2", 90)
    assert page.ask("document.images.length") == 66
    assert page.ask("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert (page.ask(CHOSEN), page.ask(SPLIT)) == ("adv_l2", "test")
    assert page.ask("document.title") == "shapes · protoscore"


def test_wrong_predictions_are_marked(page, examples):
    wrong = examples["test"].predicted != examples["test"].label
    marked = "[...document.querySelectorAll('.thumb.wrong')].map(t => Number(t.dataset.id))"
    assert page.ask(marked) == [i for i in page.ask(IDS) if wrong[i - 90]]
    assert page.ask("document.querySelector('.wrong').getAttribute('aria-label')").startswith(
        "circle, predicted square, example "
    )


def test_tabs_and_switch_choose_the_grid_and_the_address(page, examples):
    page.ask("document.querySelector('[data-metric=agr]').click()")
    page.ask("document.querySelector('[value=train]').click()")
    assert page.ask(IDS) == expected_ids(examples, "train", "agr", 0)
    assert page.ask("location.hash") == "#metric=agr&split=train"
    assert page.ask("[...document.images].filter(image => !image.complete).length") == 0
    visible = (
        "[...document.querySelectorAll('.about')].filter(a => !a.hidden).map(a => a.innerText)"
    )
    (about,) = page.ask(visible)
    assert "unit: nats" in about


def test_an_address_opens_its_grid(page, address, examples):
    page.open(f"{address}#metric=agr&split=train")
    assert page.ask(IDS) == expected_ids(examples, "train", "agr", 0)
    page.open(f"{address}#metric=nonsense&split=none")
    assert (page.ask(CHOSEN), page.ask(SPLIT)) == ("adv_l2", "test")


def test_pointing_at_an_image_shows_its_card(page, examples):
    page.point_at(".thumb")
    (first, *_) = page.ask(IDS)
    card = page.ask(CARD)
    value = examples["test"].values["adv_l2"][first - 90]
    assert card.startswith("circle\n")
    assert "✗ predicted square" in card
    assert f"{value:.4g} L2 norm of pixels in [0, 1]" in card
    assert "class percentile 0.0" in card
    assert f"example {first} · picture-{first - 90}.png" in card
    assert page.ask("document.querySelector('#card img').naturalWidth") == 8
    page.point_at("h1")
    assert page.ask("document.getElementById('card').hidden")


def test_the_keyboard_reaches_everything(page):
    ids = page.ask(IDS)
    assert page.ask("document.querySelectorAll('.thumb[tabindex=\"0\"]').length") == 1
    page.ask("document.querySelector('.thumb').focus()")
    for key, at in (
        ("ArrowRight", 1),
        ("ArrowDown", 23),
        ("End", 43),
        ("ArrowUp", 21),
        ("Home", 0),
    ):
        page.press(key)
        assert page.ask(FOCUSED) == ids[at]
        assert f"example {ids[at]} " in page.ask(CARD)
    page.press("Escape")
    assert page.ask("document.getElementById('card').hidden")
    page.ask("document.querySelector('[aria-selected=true]').focus()")
    page.press("ArrowRight")
    assert page.ask(CHOSEN) == page.ask("document.activeElement.dataset.metric") == "agr"


def test_groups_of_runs_open_and_close(page):
    members = "document.querySelectorAll('.members:not([hidden]) tr').length"
    assert page.ask(members) == 0
    page.ask("document.querySelector('.runs button').click()")
    assert page.ask(members) == 3
    page.ask("document.querySelector('.runs button').click()")
    assert page.ask(members) == 0


@pytest.mark.parametrize("width", [360, 820, 1440])
def test_nothing_is_wider_than_the_screen(page, address, width):
    page.resize(width, 800)
    page.open(address)
    assert page.ask("document.documentElement.scrollWidth") <= width
    page.point_at(".row:last-child .strip.high .thumb:last-child")
    left, right = page.ask("(b => [b.left, b.right])(card.getBoundingClientRect())")
    assert 0 <= left < right <= width


def test_light_and_dark_follow_the_reader(page):
    colours = []
    for dark in (False, True):
        page.resize(1280, 900, dark=dark)
        colours.append(page.ask("getComputedStyle(document.body).backgroundColor"))
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert brightness[0] > 600 > 150 > brightness[1]


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    storage = Storage(str(folder / "store"))
    examples = {
        "train": shapes(30, 30, side=70, channels=3),
        "test": shapes(90, 30, side=70, channels=3),
    }
    versions = write_dataset(storage, "many", examples, [f"class {i:02}" for i in range(30)])
    publish_scores(storage, "many", versions, examples)
    return write_page(storage.uri, folder)


def test_many_classes_come_with_a_picker(page, many_classes):
    page.open(many_classes)
    rows = "[...document.querySelectorAll('.row h3')].map(h => h.firstChild.textContent)"
    assert page.ask(rows) == [f"class {i:02}" for i in range(20)]
    assert page.ask("document.images[0].naturalWidth") == 64
    page.ask("document.getElementById('more').click()")
    assert len(page.ask(rows)) == 30
    page.ask("filter.value = 'Class 2'; filter.dispatchEvent(new Event('input'))")
    assert page.ask(rows) == [f"class {i}" for i in range(20, 30)]
    page.open(f"{many_classes}#metric=agr&split=test&class=class 07")
    assert page.ask(rows) == ["class 07"]
    assert page.ask("document.querySelectorAll('.thumb').length") == 3
