"""Reviews from a Parquet file to scores and explanations, on a real Ray."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_jobs.cli import main
from scoring.tables import Store

GOOD, BAD = "a fine warm moving film", "a dull cold boring film"


def reviews(rows: int, seed: int) -> tuple[list[str | None], list[int]]:
    """Texts whose words say their label, the first of them without a word."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 2, rows).tolist()
    words = {1: GOOD.split(), 0: BAD.split()}
    texts: list[str | None] = [" ".join(draws.choice(words[y], 9).tolist()) for y in labels]
    return ["<br />", *texts[1:]], labels


@pytest.fixture
def flags(tmp_path: Path) -> tuple[str, ...]:
    """Flags of a dataset of reviews."""
    files = []
    for split, rows in (("train", 300), ("test", 60)):
        texts, labels = reviews(rows, seed=len(split))
        path = tmp_path / f"{split}.parquet"
        pq.write_table(pa.table({"text": texts, "label": labels}), path)
        files += [f"--{split}", str(path)]
    about = ("--text-column", "text", "--text-tokens", "16", "--class-names", "negative")
    return ("--dataset", "parquet", "--name", "reviews", *files, *about, "positive")


def test_scores_and_explanations_of_reviews(
    rescore: Callable[..., int],
    flags: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = str(tmp_path / "store")
    metrics = ("conf", "aum", "gradient_norm", "representer_self")
    assert rescore(*flags, "--epochs", "4", "--metrics", *metrics) == 0
    capsys.readouterr()
    rows = Store(store).scores(metric="conf", split="test").to_pylist()
    (unread,) = (row for row in rows if row["status"])
    assert (unread["status"], unread["rank"]) == ("undecodable_text", None)
    right = [row["predicted"] == row["label"] for row in rows if not row["status"]]
    assert np.mean(right) > 0.95

    page = tmp_path / "page.html"
    assert main(["explain", "--store", store, "--ids", "7", "--page", str(page)]) == 0
    said = capsys.readouterr()
    assert "train_text" in said.out
    assert " film" in said.out
    html = page.read_text()
    assert "<blockquote" in html
    assert "sensitivity map" not in html
    excitatory = Store(store).sql(
        "select label, train_label from representers where test_id = 7 and sign = 1"
    )
    assert all(row["label"] == row["train_label"] for row in excitatory.to_pylist())

    sets = ["evaluate", "sets", "--store", store, "--boundary", "aum", "--ensemble", "conf"]
    sets += ["--priv", "gradient_norm", "--submode-priv", "60"]
    capsys.readouterr()
    assert main(sets) == 2
    assert "--features: expected last or a layer for texts, got pixels" in capsys.readouterr().err
    assert main([*sets, "--features", "last"]) == 0
    (mapped,) = Store(store).sql("select count(x) as n from example_sets").to_pylist()
    assert mapped["n"] > 0

    folder = tmp_path / "exported"
    assert main(["export", "--to", "huggingface", "--store", store, "--output", str(folder)]) == 0
    exported = pq.read_table(folder / "data" / "test-00000-of-00001.parquet")
    texts, labels = reviews(60, seed=len("test"))
    assert (exported["text"].to_pylist(), exported["label"].to_pylist()) == (texts, labels)
    assert exported["conf_status"].to_pylist() == ["undecodable_text", *[None] * 59]
    capsys.readouterr()
    assert main(["export", "--to", "fiftyone", "--store", store]) == 2
    complaint = "--to: expected a dataset of images, got texts\n"
    assert capsys.readouterr().err == f"protoscore: error: {complaint}"


def test_metrics_that_need_pixels_are_left_out(
    flags: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ("--store", str(tmp_path / "store"))
    assert main(["plan", *flags, *store]) == 0
    said = capsys.readouterr().out
    assert "300 train + 60 test examples, 2 classes, 16 tokens" in said
    (left_out,) = (line for line in said.splitlines() if line.startswith("  left out"))
    assert "adv_l2, adv_linf, adv_steps, vog, vog_early" in left_out
    assert "priv" not in left_out
    assert main(["plan", *flags, *store, "--net", "lstm"]) == 0
    assert "priv" in capsys.readouterr().out.rpartition("left out")[2]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--metrics", "conf", "vog"), "--metrics: expected metrics without vog, which needs pix"),
        (("--net", "lstm", "--metrics", "priv"), "--metrics: expected metrics without priv, which"),
        (
            ("--net", "small_cnn"),
            "--net: expected a net that reads texts, bag_of_embeddings or lstm, got small_cnn",
        ),
        (("--recipe", "paper_cifar"), "--recipe: expected one that neither crops nor flips"),
        (("--image-size", "8"), "--image-size: expected images, got --text-column text"),
        (("--corrupted-copies",), "--corrupted-copies: expected images, got --text-column text"),
        (("--text-tokens", "0"), "--text-tokens: expected a number above 0, got 0"),
        (("--text-column", "label"), "--text-column: expected texts, got 'label' of type int64"),
        (("--text-column", "body"), "--text-column: expected a column of"),
    ],
)
def test_what_texts_cannot_have_is_one_line(
    flags: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    complaint: str,
) -> None:
    assert main(["rescore", *flags, *more, "--store", str(tmp_path / "store")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {complaint}"), said
    assert len(said.splitlines()) == 1
