"""The pages as a reader sees them, opened from disk."""

from dataclasses import replace

import chromium
import pytest
from report_findings import NO, publish_explained, publish_sets
from report_folder import write
from report_store import TEXTS, publish_scores, shapes, write_dataset

from scoring.store.storage import Storage
from scoring.tables.findings import Finding, publish_evaluation

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not chromium.is_installed(), reason=f"needs {chromium.PROGRAM}: apt-get install chromium"
    ),
]
CLASSES = ("circle", "<b>square</b>", "star")
PAGES = ("index", "examples", "correlations", "sets", "evaluations")
FIRST = 90  # id of the first test example
EXPLAINED = FIRST + 4
IDS = "[...document.querySelectorAll('#grid .thumb')].map(thumb => Number(thumb.dataset.id))"
DIALOG = "document.getElementById('example')"
SAID = f"{DIALOG}.innerText"
FOCUSED = "Number(document.activeElement.dataset.id)"


@pytest.fixture(scope="module")
def told(tmp_path_factory, examples):
    """A report with sets, explanations, evaluations, and a class whose name is markup."""
    folder = tmp_path_factory.mktemp("told")
    storage = Storage(str(folder / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples)
    mapped = [(FIRST + 3 * i, 0, "uncommon_submodes", i % 2, float(i), i % 3) for i in range(8)]
    publish_sets(storage, "test", [*mapped, (FIRST + 1, 1, "memorized_exceptions", NO, NO, NO)])
    points = [(EXPLAINED, 1, 0, 7, 1, 2.5), (EXPLAINED, 1, 0, 8, 2, -1.5)]
    publish_explained(storage, "r", versions["train"], points)
    finding = Finding(subject="<i>agr</i>", part="1", measure="error_rate", value=0.25, rows=9)
    publish_evaluation(storage, "shapes", "deciles_test", [finding], "protoscore evaluate deciles")
    return write(storage.uri, TEXTS, folder / "report").as_uri()


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A report over texts, with markup that never ends."""
    folder = tmp_path_factory.mktemp("reviews")
    storage = Storage(str(folder / "store"))
    texts = [
        f"Review {i}: dull &lt; bad, <br>an <img src=x onerror=alert(1) film. " * 30
        for i in range(10)
    ]
    examples = {split: replace(shapes(10, 2), texts=texts) for split in ("train", "test")}
    versions = write_dataset(storage, "reviews", examples, ("negative", "positive"))
    publish_scores(storage, "reviews", versions, examples)
    return write(storage.uri, TEXTS, folder / "report").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.start(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(browser):
    """The browser at its default size; whatever a page complains of fails the test."""
    browser.resize(1280, 900)
    browser.complaints.clear()
    browser.requests.clear()
    yield browser
    assert browser.complaints == []
    assert all(url.startswith(("data:", "file:", "about:")) for url in browser.requests)


def until(page, condition):
    """Wait for a JavaScript condition."""
    page.ask(
        "new Promise(done => { const again = () => "
        f"(({condition}) ? done(1) : setTimeout(again, 10)); again(); }})"
    )


def opened(page, address):
    """Open a page and wait until all that it shows is drawn."""
    page.open(address)
    shown = "document.querySelectorAll('.thumb, #map').length"
    drawn = "!document.querySelector('.thumb canvas:not([data-drawn])')"
    until(page, f"({shown} && {drawn}) || !document.querySelector('#grid, #map')")


def choose(page, name, value):
    """Choose as a reader does, by the control of that id."""
    page.ask(
        f"(it => {{ it.value = {value!r}; for (const kind of ['input', 'change'])"
        " it.dispatchEvent(new Event(kind, {bubbles: true})); })"
        f"(document.getElementById({name!r}))"
    )


def ranked(examples, split="test", metric="adv_l2", label=None):
    """Ids by rank, of one class or of all."""
    of_split, first = examples[split], FIRST if split == "test" else 0
    typical = of_split.values[metric] * (1 if metric == "adv_l2" else -1)
    return [int(i) + first for i in typical.argsort() if label in {None, of_split.label[i]}]


@pytest.mark.parametrize("width", [360, 820, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_from_disk_and_fits_the_screen(page, told, name, width):
    page.resize(width, 800)
    opened(page, f"{told}/{name}.html")
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.ask("document.querySelector('[aria-current]').innerText") != ""
    assert page.ask("document.getElementById('trouble').hidden")
    assert page.ask("document.querySelectorAll('b, script:not([src])').length") == 0
    assert page.ask("document.images.length") == 0  # packs are drawn, not left in the page


def test_the_overview_shows_both_ends_of_every_class(page, told, examples):
    opened(page, f"{told}/index.html")
    expected = [i for label in range(3) for i in ranked(examples, label=label)]
    assert page.ask(IDS) == expected  # fewer than both ends together: all of them
    names = "[...document.querySelectorAll('.row h3 a')].map(link => link.innerText)"
    assert page.ask(names) == list(CLASSES)
    choose(page, "metric", "agr")
    page.ask("document.querySelector('[value=train]').click()")
    until(page, "document.querySelector('#grid .thumb').dataset.id < 90")
    expected = [i for label in range(3) for i in ranked(examples, "train", "agr", label)]
    assert page.ask(IDS) == expected
    assert page.ask("location.hash") == "#metric=agr&split=train"


def test_examples_are_narrowed_down(page, told, examples):
    opened(page, f"{told}/examples.html")
    found = "document.getElementById('found').innerText"
    assert page.ask(IDS) == ranked(examples)
    assert page.ask(found) == "66 examples"
    choose(page, "class", "1")
    until(page, f"{found} === '22 examples'")
    members = ranked(examples, label=1)
    assert page.ask(IDS) == members
    choose(page, "to", "50")
    until(page, f"{found} === '11 examples'")
    assert page.ask(IDS) == members[:11]
    page.ask("document.getElementById('wrong').click()")
    wrong = [i for i in members[:11] if examples["test"].predicted[i - FIRST] != 1]
    until(page, f"{found} === '{len(wrong)} examples'")
    assert page.ask(IDS) == wrong
    choose(page, "order", "prototypical")
    until(page, f"{IDS}[0] === {wrong[-1]}")
    assert page.ask(IDS) == wrong[::-1]
    opened(page, f"{told}/examples.html#split=train&metric=agr&class=2&from=90")
    assert page.ask(IDS) == ranked(examples, "train", "agr", 2)[27:]


def test_an_example_is_found_by_id_or_name(page, told):
    opened(page, f"{told}/examples.html")
    page.press("/")
    assert page.ask("document.activeElement.id") == "find"
    for typed, ids in (("100", [100]), ("PICTURE-65", [FIRST + 65]), ("nothing", [])):
        choose(page, "find", typed)
        until(page, f"{IDS}.length === {len(ids)}")
        assert page.ask(IDS) == ids
    assert page.ask("document.getElementById('found').innerText") == "No example fits."


def test_a_click_opens_all_that_is_known(page, told, examples):
    opened(page, f"{told}/examples.html")
    page.ask(f"document.querySelector('[data-id=\"{EXPLAINED}\"]').click()")
    until(page, f"{DIALOG}.open && {DIALOG}.querySelectorAll('canvas[data-drawn]').length === 3")
    said = page.ask(SAID)
    value = examples["test"].values["agr"][EXPLAINED - FIRST]
    assert "<b>square</b>" in said
    assert f"test example {EXPLAINED} · picture-{EXPLAINED - FIRST}.png" in said
    assert f"{value:.4g}"[:5] in said
    assert "for <b>square</b>" in said
    assert "against <b>square</b>" in said
    bars = f"[...{DIALOG}.querySelectorAll('.track i')].map(bar => parseFloat(bar.style.width))"
    assert len(page.ask(bars)) == 2
    assert page.ask("location.hash") == f"#example={EXPLAINED}"


def test_its_sets_lead_to_their_map(page, told):
    opened(page, f"{told}/examples.html#example={FIRST + 3}")
    until(page, f"{DIALOG}.open")
    chip = f"{DIALOG}.querySelector('.chips a')"
    assert page.ask(f"{chip}.innerText") == "uncommon submodes, cluster 2"
    opened(page, page.ask(f"{chip}.href"))
    assert page.ask("document.getElementById('set').value") == "uncommon_submodes"


def test_keys_walk_the_grid_and_open_examples(page, told, examples):
    opened(page, f"{told}/examples.html")
    ids = ranked(examples)
    columns = page.ask(
        "(thumbs => thumbs.filter(t => t.getBoundingClientRect().top"
        " === thumbs[0].getBoundingClientRect().top).length)"
        "([...document.querySelectorAll('.thumb')])"
    )
    assert page.ask("document.querySelectorAll('.thumb[tabindex=\"0\"]').length") == 1
    page.ask("document.querySelector('.thumb').focus()")
    walk = (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowUp", 1), ("End", 65), ("Home", 0))
    for key, at in walk:
        page.press(key)
        assert page.ask(FOCUSED) == ids[at]
    page.press("Enter")
    until(page, f"{DIALOG}.open")
    assert f"test example {ids[0]} " in page.ask(SAID)
    page.press("ArrowRight")
    until(page, f"{SAID}.includes('test example {ids[1]} ')")
    page.press("Escape")
    until(page, f"!{DIALOG}.open")
    assert page.ask("location.hash") == ""


def test_an_example_that_is_not_there_is_told(page, told):
    page.open(f"{told}/examples.html#example=4")
    until(page, "!document.getElementById('trouble').hidden")
    assert page.ask("trouble.innerText") == "expected an example of the test split, got 4"


def test_a_map_is_hovered_and_walked(page, told):
    opened(page, f"{told}/sets.html")
    tip = "document.querySelector('.tip')"
    assert page.ask("document.getElementById('set').value") == "uncommon_submodes"
    assert page.ask("[...document.querySelectorAll('.cluster h3')].map(h => h.innerText)") == [
        "Cluster 14",
        "Cluster 24",
    ]
    page.ask("document.getElementById('map').focus()")
    page.press("ArrowRight")
    until(page, f"!{tip}.hidden")
    assert page.ask(f"{tip}.innerText").startswith("circle")
    page.press("Enter")
    until(page, f"{DIALOG}.open")
    assert "uncommon submodes" in page.ask(SAID)


def test_a_pair_of_measures_is_shown_by_a_click(page, told):
    opened(page, f"{told}/correlations.html#x=agr&y=agr")
    page.ask("document.querySelector('.matrix[data-split=train] tbody td:not(.self)').click()")
    until(page, "document.getElementById('map-told').innerText === '90 examples'")
    chosen = "[x.value, y.value, document.querySelector('[name=split]:checked').value]"
    assert page.ask(chosen) == ["agr", "adv_l2", "train"]


def test_findings_are_listed_when_asked_for(page, told):
    opened(page, f"{told}/evaluations.html")
    assert page.ask("document.querySelectorAll('td').length") == 0
    page.ask("document.querySelector('details[data-evaluation] summary').click()")
    until(page, "document.querySelector('td')")
    cells = "[...document.querySelectorAll('td')].map(cell => cell.innerText)"
    assert page.ask(cells) == ["<i>agr</i>", "1", "error_rate", "0.25", "–", "9"]


def test_groups_of_runs_open_and_close(page, told):
    opened(page, f"{told}/index.html")
    members = "document.querySelectorAll('.members:not([hidden]) tr').length"
    for expected in (0, 3, 0):
        assert page.ask(members) == expected
        page.ask("document.querySelector('.runs button').click()")


def test_light_and_dark_follow_the_reader(page, told):
    colours = []
    for dark in (False, True):
        page.resize(1280, 900, dark=dark)
        opened(page, f"{told}/index.html")
        colours.append(page.ask("getComputedStyle(document.body).backgroundColor"))
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert brightness[0] > 600 > 150 > brightness[1]


def test_of_many_examples_only_those_on_screen_are_made(page, tmp_path):
    storage = Storage(str(tmp_path / "store"))
    many = {"train": shapes(3_000, 30, seed=1), "test": shapes(3_000, 30, seed=2)}
    versions = write_dataset(storage, "many", many, [f"class {i:02}" for i in range(30)])
    publish_scores(storage, "many", versions, many)
    address = write(storage.uri, TEXTS, tmp_path / "report").as_uri()
    opened(page, f"{address}/examples.html")
    cells = "document.querySelectorAll('.thumb').length"
    assert 0 < page.ask(cells) < 400
    assert len([url for url in page.requests if "/packs/" in url]) <= 3_000 // 25
    assert not [url for url in page.requests if "/rows/" in url or "/names" in url]
    page.ask("document.querySelector('.thumb').focus()")
    page.press("End")
    last = int(many["test"].values["adv_l2"].argmax()) + 3_000
    assert page.ask(FOCUSED) == last
    until(page, "scrollY > 1000")
    assert page.ask(cells) < 600
    opened(page, f"{address}/index.html")
    rows = "document.querySelectorAll('.row').length"
    assert page.ask(rows) == 20
    page.ask("document.getElementById('more').click()")
    until(page, f"{rows} === 30")


def test_reviews_are_read_as_cards(page, reviews):
    opened(page, f"{reviews}/examples.html")
    until(page, "document.querySelectorAll('.text[data-drawn]').length === 10")
    cards = "[...document.querySelectorAll('.thumb')].map(card => card.innerText)"
    assert all("dull < bad, an <img src=x onerror" in card for card in page.ask(cards))
    page.ask("document.querySelector('.thumb').click()")
    until(page, f"{DIALOG}.open && {DIALOG}.querySelector('.whole[data-drawn]')")
    assert page.ask(f"{DIALOG}.querySelector('.whole').innerText.length") > 1_000
    for name in ("index", "sets", "correlations"):
        page.resize(360, 800)
        page.open(f"{reviews}/{name}.html")
        assert page.ask("document.documentElement.scrollWidth") <= 360
