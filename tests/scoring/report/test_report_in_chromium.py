"""The pages as a reader sees them, opened from disk in Chromium."""

from dataclasses import replace

import chromium
import pytest
from report_findings import NO, publish_explained, publish_sets
from report_folder import write
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import Finding, publish_evaluation

pytestmark = chromium.NEEDED
CLASSES = ("circle", "<b>square</b>", "star")
PAGES = ("labels", "index", "examples", "classes", "changes", "correlations", "sets", "evaluations")
FIRST = 90  # id of the first test example
EXPLAINED = FIRST + 4
IDS = "[...document.querySelectorAll('#grid .thumb')].map(thumb => Number(thumb.dataset.id))"
DIALOG = "document.getElementById('example')"
DIALOG_TEXT = f"{DIALOG}.innerText"
FOCUSED = "Number(document.activeElement.dataset.id)"


@pytest.fixture(scope="module")
def report(tmp_path_factory, examples):
    """A report with sets, explanations, evaluations, and a class whose name is markup."""
    folder = tmp_path_factory.mktemp("report")
    storage = Storage(str(folder / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples)
    mapped = [(FIRST + 3 * i, 0, "uncommon_submodes", i % 2, float(i), i % 3) for i in range(8)]
    publish_sets(storage, "test", [*mapped, (FIRST + 1, 1, "memorized_exceptions", NO, NO, NO)])
    points = [(EXPLAINED, 1, 0, 7, 1, 2.5), (EXPLAINED, 1, 0, 8, 2, -1.5)]
    publish_explained(storage, "r", versions["train"], points)
    finding = Finding(subject="<i>agr</i>", part="1", measure="error_rate", value=0.25, rows=9)
    publish_evaluation(storage, "shapes", "deciles_test", [finding], "protoscore evaluate deciles")
    return write(storage.uri, METRICS, folder / "report").as_uri()


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A report on texts that contain unclosed markup."""
    folder = tmp_path_factory.mktemp("reviews")
    storage = Storage(str(folder / "store"))
    texts = [
        f"Review {i}: dull &lt; bad, <br>an <img src=x onerror=alert(1) film. " * 30
        for i in range(10)
    ]
    examples = {split: replace(shapes(10, 2), texts=texts) for split in ("train", "test")}
    versions = write_dataset(storage, "reviews", examples, ("negative", "positive"))
    publish_scores(storage, "reviews", versions, examples)
    return write(storage.uri, METRICS, folder / "report").as_uri()


def opened(page, address):
    """Open a page and wait until everything on it is drawn."""
    page.open(address)
    shown = "document.querySelectorAll('.thumb, #map').length"
    drawn = "!document.querySelector('.thumb canvas:not([data-drawn])')"
    page.until(f"({shown} && {drawn}) || !document.querySelector('#grid, #map')")


def choose(page, name, value):
    """Set the control with this id as a reader would."""
    page.evaluate(
        f"(it => {{ it.value = {value!r}; for (const kind of ['input', 'change'])"
        " it.dispatchEvent(new Event(kind, {bubbles: true})); })"
        f"(document.getElementById({name!r}))"
    )


def ranked(examples, split="test", metric="adv_l2", label=None):
    """Ids by rank, of one class or of all classes."""
    of_split, first = examples[split], FIRST if split == "test" else 0
    typical = of_split.values[metric] * (1 if metric == "adv_l2" else -1)
    return [int(i) + first for i in typical.argsort() if label in {None, of_split.label[i]}]


@pytest.mark.parametrize("width", [360, 820, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_from_disk_and_fits_the_screen(page, report, name, width):
    page.resize(width, 800)
    opened(page, f"{report}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('[aria-current]').innerText") != ""
    assert page.evaluate("document.getElementById('error').hidden")
    assert page.evaluate("document.querySelectorAll('b, script:not([src])').length") == 0
    assert page.evaluate("document.images.length") == 0  # packs are drawn on canvases


def test_the_overview_shows_both_ends_of_every_class(page, report, examples):
    opened(page, f"{report}/index.html")
    expected = [i for label in range(3) for i in ranked(examples, label=label)]
    assert page.evaluate(IDS) == expected  # classes are small enough to be shown whole
    names = "[...document.querySelectorAll('.row h3 a')].map(link => link.innerText)"
    assert page.evaluate(names) == list(CLASSES)
    choose(page, "metric", "agr")
    page.evaluate("document.querySelector('[value=train]').click()")
    page.until("document.querySelector('#grid .thumb').dataset.id < 90")
    expected = [i for label in range(3) for i in ranked(examples, "train", "agr", label)]
    assert page.evaluate(IDS) == expected
    assert page.evaluate("location.hash") == "#metric=agr&split=train"


def test_examples_can_be_filtered(page, report, examples):
    opened(page, f"{report}/examples.html")
    found = "document.getElementById('found').innerText"
    assert page.evaluate(IDS) == ranked(examples)
    assert page.evaluate(found) == "66 examples"
    choose(page, "class", "1")
    page.until(f"{found} === '22 examples'")
    members = ranked(examples, label=1)
    assert page.evaluate(IDS) == members
    choose(page, "to", "50")
    page.until(f"{found} === '11 examples'")
    assert page.evaluate(IDS) == members[:11]
    page.evaluate("document.getElementById('wrong').click()")
    wrong = [i for i in members[:11] if examples["test"].predicted[i - FIRST] != 1]
    page.until(f"{found} === '{len(wrong)} examples'")
    assert page.evaluate(IDS) == wrong
    choose(page, "order", "prototypical")
    page.until(f"{IDS}[0] === {wrong[-1]}")
    assert page.evaluate(IDS) == wrong[::-1]
    opened(page, f"{report}/examples.html#split=train&metric=agr&class=2&from=90")
    assert page.evaluate(IDS) == ranked(examples, "train", "agr", 2)[27:]


def test_an_example_is_found_by_id_or_name(page, report):
    opened(page, f"{report}/examples.html")
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    for typed, ids in (("100", [100]), ("PICTURE-65", [FIRST + 65]), ("nothing", [])):
        choose(page, "find", typed)
        page.until(f"{IDS}.length === {len(ids)}")
        assert page.evaluate(IDS) == ids
    assert page.evaluate("document.getElementById('found').innerText") == "No examples match."


def test_a_click_opens_the_dialog_of_an_example(page, report, examples):
    opened(page, f"{report}/examples.html")
    page.evaluate(f"document.querySelector('[data-id=\"{EXPLAINED}\"]').click()")
    page.until(f"{DIALOG}.open && {DIALOG}.querySelectorAll('canvas[data-drawn]').length === 3")
    text = page.evaluate(DIALOG_TEXT)
    value = examples["test"].values["agr"][EXPLAINED - FIRST]
    assert "<b>square</b>" in text
    assert f"test example {EXPLAINED} · picture-{EXPLAINED - FIRST}.png" in text
    assert f"{value:.4g}"[:5] in text
    assert "for <b>square</b>" in text
    assert "against <b>square</b>" in text
    bars = f"[...{DIALOG}.querySelectorAll('.track i')].map(bar => parseFloat(bar.style.width))"
    assert len(page.evaluate(bars)) == 2
    assert page.evaluate("location.hash") == f"#example={EXPLAINED}"


def test_the_dialog_shows_the_class_z_that_a_metric_is_ranked_by(page, tmp_path, examples):
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    metrics = (METRICS[0], replace(METRICS[1], ranked_by="class_z"))
    publish_scores(storage, "shapes", versions, examples, metrics)
    address = write(storage.uri, metrics, tmp_path / "report").as_uri()
    opened(page, f"{address}/examples.html#metric=agr&example={EXPLAINED}")
    page.until(f"{DIALOG}.open")
    text = page.evaluate(DIALOG_TEXT)
    published = Store(storage.uri).scores("shapes", "test", "agr").to_pylist()
    (row,) = (row for row in published if row["example_id"] == EXPLAINED)
    assert text.count("class z") == 1
    assert f"class z {row['class_z']:.3g}"[:11] in text
    assert "ranked by class z" in page.evaluate("document.body.innerText")


def test_sets_in_the_dialog_link_to_their_map(page, report):
    opened(page, f"{report}/examples.html#example={FIRST + 3}")
    page.until(f"{DIALOG}.open")
    chip = f"{DIALOG}.querySelector('.chips a')"
    assert page.evaluate(f"{chip}.innerText") == "uncommon submodes, cluster 2"
    opened(page, page.evaluate(f"{chip}.href"))
    assert page.evaluate("document.getElementById('set').value") == "uncommon_submodes"


def test_keys_move_in_the_grid_and_open_examples(page, report, examples):
    opened(page, f"{report}/examples.html")
    ids = ranked(examples)
    columns = page.evaluate(
        "(thumbs => thumbs.filter(t => t.getBoundingClientRect().top"
        " === thumbs[0].getBoundingClientRect().top).length)"
        "([...document.querySelectorAll('.thumb')])"
    )
    assert page.evaluate("document.querySelectorAll('.thumb[tabindex=\"0\"]').length") == 1
    page.evaluate("document.querySelector('.thumb').focus()")
    moves = (
        ("ArrowRight", 1),
        ("ArrowDown", 1 + columns),
        ("ArrowUp", 1),
        ("End", 65),
        ("Home", 0),
    )
    for key, at in moves:
        page.press(key)
        assert page.evaluate(FOCUSED) == ids[at]
    page.press("Enter")
    page.until(f"{DIALOG}.open")
    assert f"test example {ids[0]} " in page.evaluate(DIALOG_TEXT)
    page.press("ArrowRight")
    page.until(f"{DIALOG_TEXT}.includes('test example {ids[1]} ')")
    page.press("Escape")
    page.until(f"!{DIALOG}.open")
    assert page.evaluate("location.hash") == ""


def test_a_missing_example_is_reported(page, report):
    page.open(f"{report}/examples.html#example=4")
    page.until("!document.getElementById('error').hidden")
    assert (
        page.evaluate("document.getElementById('error').innerText")
        == "expected an example of the test split, got 4"
    )


def test_keys_move_on_the_map_and_open_examples(page, report):
    opened(page, f"{report}/sets.html")
    tip = "document.querySelector('.tip')"
    assert page.evaluate("document.getElementById('set').value") == "uncommon_submodes"
    assert page.evaluate("[...document.querySelectorAll('.cluster h3')].map(h => h.innerText)") == [
        "Cluster 14",
        "Cluster 24",
    ]
    page.evaluate("document.getElementById('map').focus()")
    page.press("ArrowRight")
    page.until(f"!{tip}.hidden")
    assert page.evaluate(f"{tip}.innerText").startswith("circle")
    page.press("Enter")
    page.until(f"{DIALOG}.open")
    assert "uncommon submodes" in page.evaluate(DIALOG_TEXT)


def test_a_click_on_a_correlation_shows_its_metrics(page, report):
    opened(page, f"{report}/correlations.html#x=agr&y=agr")
    page.evaluate("document.querySelector('.matrix[data-split=train] tbody td:not(.self)').click()")
    page.until("document.getElementById('map-status').innerText === '90 examples'")
    chosen = "[x.value, y.value, document.querySelector('[name=split]:checked').value]"
    assert page.evaluate(chosen) == ["agr", "adv_l2", "train"]


def test_findings_are_loaded_when_opened(page, report):
    opened(page, f"{report}/evaluations.html")
    assert page.evaluate("document.querySelectorAll('td').length") == 0
    page.evaluate("document.querySelector('details[data-evaluation] summary').click()")
    page.until("document.querySelector('td')")
    cells = "[...document.querySelectorAll('td')].map(cell => cell.innerText)"
    assert page.evaluate(cells) == ["<i>agr</i>", "1", "error_rate", "0.25", "–", "9"]


def test_groups_of_runs_open_and_close(page, report):
    opened(page, f"{report}/index.html")
    members = "document.querySelectorAll('.members:not([hidden]) tr').length"
    for expected in (0, 3, 0):
        assert page.evaluate(members) == expected
        page.evaluate("document.querySelector('.runs button').click()")


def test_the_theme_follows_the_system(page, report):
    colours = []
    for dark in (False, True):
        page.resize(1280, 900, dark=dark)
        opened(page, f"{report}/index.html")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert brightness[0] > 600 > 150 > brightness[1]


def test_only_examples_near_the_screen_are_created(page, tmp_path):
    storage = Storage(str(tmp_path / "store"))
    many = {"train": shapes(3_000, 30, seed=1), "test": shapes(3_000, 30, seed=2)}
    versions = write_dataset(storage, "many", many, [f"class {i:02}" for i in range(30)])
    publish_scores(storage, "many", versions, many)
    address = write(storage.uri, METRICS, tmp_path / "report").as_uri()
    opened(page, f"{address}/examples.html")
    cells = "document.querySelectorAll('.thumb').length"
    assert 0 < page.evaluate(cells) < 400
    assert len([url for url in page.requests if "/packs/" in url]) <= 3_000 // 25
    assert not [url for url in page.requests if "/rows/" in url or "/names" in url]
    page.evaluate("document.querySelector('.thumb').focus()")
    page.press("End")
    last = int(many["test"].values["adv_l2"].argmax()) + 3_000
    assert page.evaluate(FOCUSED) == last
    page.until("scrollY > 1000")
    assert page.evaluate(cells) < 600
    opened(page, f"{address}/index.html")
    rows = "document.querySelectorAll('.row').length"
    assert page.evaluate(rows) == 20
    page.evaluate("document.getElementById('more').click()")
    page.until(f"{rows} === 30")


def test_texts_are_shown_as_cards(page, reviews):
    opened(page, f"{reviews}/examples.html")
    page.until("document.querySelectorAll('.text[data-drawn]').length === 10")
    cards = "[...document.querySelectorAll('.thumb')].map(card => card.innerText)"
    assert all("dull < bad, an <img src=x onerror" in card for card in page.evaluate(cards))
    page.evaluate("document.querySelector('.thumb').click()")
    page.until(f"{DIALOG}.open && {DIALOG}.querySelector('.whole[data-drawn]')")
    assert page.evaluate(f"{DIALOG}.querySelector('.whole').innerText.length") > 1_000
    for name in ("index", "sets", "correlations"):
        page.resize(360, 800)
        page.open(f"{reviews}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
