"""Class names and names of examples that are no names: through every command and page."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import NAMES, unprintable
from image_files import grey_pngs, write_parquet

from ray_jobs.cli import main
from scoring.tables import Store

DATASET = "wéird ._-name"
METRICS = ("agr", "conf", "msp", "representer_self")
Run = Callable[..., str]


def write_split(path: Path, per_class: int, first: int) -> str:
    rows = len(NAMES) * per_class
    labels = [NAMES[row % len(NAMES)] for row in range(rows)]
    names = [f"{NAMES[row * 7 % len(NAMES)]}{row}" for row in range(rows)]
    columns = {"id": pa.array(names)}
    return write_parquet(path, grey_pngs(rows, first), labels, columns=columns)


@pytest.fixture(scope="module")
def store(in_process: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("hostile")
    train = write_split(root / "train.parquet", 5, 0)
    test = write_split(root / "test.parquet", 2, 10_000)
    data = ("--dataset", "parquet", "--train", train, "--test", test, "--id-column", "id")
    more = ("--recipe", "smoke", "--batch-rows", "50", "--name", DATASET)
    uri = str(root / "store")
    assert main(["rescore", *data, *more, "--metrics", *METRICS, "--store", uri]) == 0
    return uri


@pytest.fixture
def run(
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> Run:
    """Run a command in an empty folder; returns what it printed. Nobody is warned of a glyph."""
    monkeypatch.setenv("PROTOSCORE_STORE", store)
    monkeypatch.chdir(tmp_path)

    def run(*command: str, code: int = 0) -> str:
        assert main([*command]) == code
        said = capsys.readouterr()
        assert not unprintable(said.err)
        assert not [w for w in recwarn if issubclass(w.category, UserWarning)]
        return said.out or said.err

    return run


def test_tables_hold_the_names_as_they_are(store: str) -> None:
    names = set(Store(store).scores(split="train", metric="conf")["name"].to_pylist())
    assert names == {f"{NAMES[i * 7 % len(NAMES)]}{i}" for i in range(5 * len(NAMES))}


TABLES = {
    "query": ("query", "select * from scores order by example_id limit 150"),
    "outliers": ("outliers", "--metric", "conf", "-n", "50"),
    "prototypes": ("prototypes", "--metric", "conf", "--label", "$$"),
    "diff": ("diff", "--from", "1", "--show", "examples"),
    "history": ("history",),
    "status": ("status",),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(run: Run, name: str) -> None:
    assert not unprintable(run(*TABLES[name]))
    rows = json.loads(run(*TABLES[name], "--format", "json"))
    text = io.StringIO(run(*TABLES[name], "--format", "csv", "--raw-csv"), newline="")
    assert [row.keys() for row in csv.DictReader(text)] == [row.keys() for row in rows]


def test_csv_and_json_hold_every_name(run: Run, store: str) -> None:
    query = ("query", "select distinct name from scores", "--format")
    names = set(Store(store).sql(query[1])["name"].to_pylist())
    assert {row["name"] for row in json.loads(run(*query, "json"))} == names
    text = io.StringIO(run(*query, "csv", "--raw-csv"), newline="")
    assert {row["name"] for row in csv.DictReader(text)} == names


EVALUATIONS = (
    "evaluate deciles",
    "evaluate correlations",
    "evaluate classes",
    "evaluate fleet",
    "evaluate sets --boundary conf --ensemble agr --priv msp",
    "evaluate representers --lambdas 0.01 --tests 20 --example 0",
    "explain --misclassified",
)


def test_evaluations_then_a_report_with_their_figures(run: Run, tmp_path: Path) -> None:
    for command in EVALUATIONS:
        assert not unprintable(run(*command.split()))
    run("report")
    pages = {page.name: page.read_text() for page in (tmp_path / "report").glob("*.html")}
    assert not any("<b>" in page or "mathdefault" in page for page in pages.values())
    assert "&lt;b&gt;" in pages["sets.html"]
    assert pages["evaluations.html"].count("<svg") >= len(EVALUATIONS) - 1
    split = tmp_path / "report" / "data" / "test"
    script = (split / "names.js").read_text()
    names = json.loads(script[script.index("[") : script.rindex("]") + 1])
    assert set(names) == {f"{NAMES[i * 7 % len(NAMES)]}{i}" for i in range(2 * len(NAMES))}
    assert list((split / "packs").glob("*.webp"))


def test_the_page_of_explanations(run: Run, tmp_path: Path) -> None:
    assert not unprintable(run("explain", "--ids", *map(str, range(len(NAMES))), "-k", "3"))
    html = (tmp_path / "explain.html").read_text()
    assert "&lt;/script&gt;" in html
    assert "</script>" not in html


@pytest.mark.parametrize("style", ["csv", "parquet", "cleanlab", "fiftyone", "huggingface"])
def test_exports(run: Run, tmp_path: Path, style: str) -> None:
    more = ("--label-quality", "conf", "--threshold", "0.1") if style == "cleanlab" else ()
    assert not unprintable(run("export", "--to", style, "--output", "out", *more))
    out = tmp_path / "out"
    if style == "csv":
        with out.open(newline="") as file:
            found = {row["label_name"] for row in csv.DictReader(file)}
        formulas = ("=", "-", "@", "\t")
        wanted = {f"'{n}" if n.startswith(formulas) and n != "-1" else n for n in NAMES}
    elif style in ("parquet", "cleanlab"):
        column = "label_name" if style == "parquet" else "given_label_name"
        found, wanted = set(pq.read_table(out)[column].to_pylist()), set(NAMES)
    elif style == "fiftyone":
        samples = json.loads((out / "samples.json").read_text())["samples"]
        found, wanted = {sample["ground_truth"]["label"] for sample in samples}, set(NAMES)
    else:
        metadata = pq.read_schema(next((out / "data").iterdir())).metadata[b"huggingface"]
        names = json.loads(metadata)["info"]["features"]["label"]["names"]
        found, wanted = set(names), set(NAMES)
    assert found == wanted


def test_classes_in_the_name_of_a_dataset(in_process: None, store: str) -> None:
    """They become a folder: one of its own, however they are called."""
    root, datasets = Path(store).parent, set()
    for classes in (("../..", "<b>"), ("x" * 10_000, "$$"), ("\x1b]0;title\x07", "two\nlines")):
        before = {path.name for path in (Path(store) / "datasets").iterdir()}
        data = ("--train", str(root / "train.parquet"), "--test", str(root / "test.parquet"))
        flags = ("ingest", "--dataset", "parquet", *data, "--name", "few", "--store", store)
        assert main([*flags, "--only-classes", *classes]) == 0
        datasets |= {path.name for path in (Path(store) / "datasets").iterdir()} - before
    assert len(datasets) == 3
    assert not unprintable("".join(datasets))
    assert {path.name for path in root.iterdir()} == {"store", "train.parquet", "test.parquet"}


def test_an_error_that_lists_the_classes_is_one_line(run: Run) -> None:
    said = run("outliers", "--metric", "conf", "--label", "no such class", code=2)
    assert said.startswith("protoscore: error: --label: expected one of ")
    assert r"two\nlines" in said
    assert said.count("\n") == 1
