"""Five nights over a dataset that lives: rows come, labels are corrected, a file goes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digit_files import write_digits

from ray_jobs.cli import main
from scoring.registry import metrics
from scoring.tables import Store

pytestmark = pytest.mark.slow
Rescore = Callable[..., int]
CORRECTED = (10, 11, 12)
EVERY = len(metrics()) + 2  # and predicted classes and probabilities


def correct_labels(path: Path, first_id: int) -> dict[int, int]:
    """Give a few rows of a file another label; returns them by example id."""
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    for row in CORRECTED:
        labels[row] = (labels[row] + 1) % 10
    pq.write_table(table.set_column(1, "label", pa.array(labels)), path)
    return {first_id + row: labels[row] for row in CORRECTED}


def test_each_night_costs_what_changed(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, uri = tmp_path / "train", str(tmp_path / "store")
    for name, rows in (("a", slice(0, 100)), ("b", slice(100, 200)), ("c", slice(200, 300))):
        write_digits(train / f"{name}.parquet", rows)
    write_digits(tmp_path / "test" / "a.parquet", slice(1000, 1100))
    flags = ("--dataset", "parquet", "--name", "mine", "--train", str(train), "--id-column", "file")
    flags += ("--test", str(tmp_path / "test"), "--shard-rows", "100")
    store = Store(uri)

    def night(day: int) -> None:
        assert rescore(*flags, "--date", f"2026-03-{day:02d}") == 0
        for name in metrics():
            ids = store.scores(split="train", metric=name)["example_id"].to_pylist()
            assert sorted(ids) == want, name

    want = list(range(300))
    night(1)
    first = store.scores()
    want = list(range(400))
    write_digits(train / "d.parquet", slice(300, 400))
    night(2)
    kept = first.to_pandas().set_index(["split", "metric", "example_id"])
    second = store.scores().to_pandas().set_index(["split", "metric", "example_id"])
    assert second.loc[kept.index, "value"].equals(kept["value"])  # what was there stayed as it was
    assert second.loc[("train", "conf", 350), "name"] == "digit-350"
    assert len(store.sql("select distinct run_key from runs")) == 27
    relabelled = correct_labels(train / "b.parquet", 100)
    night(3)
    night(4)
    want = [*range(200), *range(300, 400)]
    (train / "c.parquet").unlink()
    night(5)

    capsys.readouterr()
    assert main(["history", "--store", uri, "--format", "json"]) == 0
    nights = {row["date"]: row for row in json.loads(capsys.readouterr().out)}
    assert {day[-1]: row["runs_trained"] for day, row in nights.items()} == {
        "1": 27,
        "2": 0,
        "3": 0,
        "5": 0,  # nothing was published on the fourth
    }
    assert [nights[f"2026-03-0{day}"]["shards_scored"] for day in (1, 2, 3, 5)] == [
        *(4 * EVERY, EVERY),
        *(EVERY, 0),
    ]
    assert store.scores(at="2026-03-01").equals(first)

    diff = ["diff", "--from", "2026-03-02", "--to", "2026-03-03", "--store", uri]
    assert main([*diff, "--metric", "conf", "--show", "examples", "--format", "json"]) == 0
    moved = json.loads(capsys.readouterr().out)
    labels = {row["example_id"]: row["label"] for row in moved[: len(CORRECTED)]}
    assert labels == relabelled
    assert any(row["class_moved"] for row in moved)
    assert main([*diff, "--show", "metrics", "--format", "json"]) == 0
    agreement = {(row["metric"], row["split"]): row for row in json.loads(capsys.readouterr().out)}
    assert agreement["conf", "train"]["spearman"] == pytest.approx(1)  # it heeds no label
    assert agreement["priv", "train"]["compared"] == 400
    assert main(["diff", "--from", "2026-03-02", "--to", "2026-03-04", "--store", uri]) == 0


def test_a_fleet_is_trained_anew_once_enough_has_changed(rescore: Rescore, tmp_path: Path) -> None:
    train = tmp_path / "train"
    write_digits(train / "a.parquet", slice(0, 200))
    write_digits(tmp_path / "test" / "a.parquet", slice(1000, 1100))
    flags = ("--dataset", "parquet", "--name", "mine", "--train", str(train), "--shard-rows", "50")
    flags += ("--test", str(tmp_path / "test"), "--metrics", "adv_steps")
    trained = []
    for rows, models in (
        (None, "reuse"),
        (slice(300, 350), "retrain-if-changed=0.25"),  # 50 of 300 rows are new
        (slice(350, 400), "retrain-if-changed=0.25"),  # 100 are
        (slice(400, 450), "reuse"),  # of what is published now, not of the first night's
        (None, "retrain"),
        (None, "retrain"),
    ):
        if rows:
            write_digits(train / f"{rows.start}.parquet", rows)
        assert rescore(*flags, "--models", models) == 0
        trained.append(len(list((tmp_path / "store" / "runs").iterdir())))
    assert trained == [1, 1, 2, 2, 3, 3]


def test_a_night_stops_at_its_hour_and_the_next_goes_on(
    rescore: Rescore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--limit-train", "150", "--limit-test", "50", "--shard-rows", "50")
    flags += ("--recipe", "quick", "--metrics", "adv_steps", "conf")
    summary = tmp_path / "summary.json"

    def night(*more: str, store: str = "store") -> dict[str, Any]:
        code = rescore(*flags, *more, "--summary", str(summary), store=tmp_path / store)
        account: dict[str, Any] = json.loads(summary.read_text())
        assert account["exit_code"] == code
        return account

    whole = night(store="undisturbed")
    assert [(stage["name"], stage["done"], stage["total"]) for stage in whole["stages"]] == [
        ("ingest", 4, 4),
        ("train", 7, 7),
        ("score", 4, 4),
        ("publish", 6, 6),
    ]
    seconds = {stage["name"]: stage["seconds"] for stage in whole["stages"]}
    ended = night("--max-hours", "1e-9")
    assert ended["exit_code"] == 4
    assert "time ran out with 0 of 4 shards ingested" in ended["said"]
    # In the midst of training, or a little beside it where the machine's pace changes.
    enough_s = whole["night"]["seconds"] - seconds["score"] - seconds["train"] / 2
    capsys.readouterr()
    ended = night("--max-hours", str(enough_s / 3600))
    said = capsys.readouterr().err
    assert ended["exit_code"] in (3, 4)
    assert "time ran out" in ended["said"]
    assert "--max-hours: time ran out" in said
    assert "Traceback" not in said
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").glob("runs/*/run.json")}
    assert night()["exit_code"] == 0
    assert {p: p.stat().st_mtime_ns for p in done} == done

    columns = ["example_id", "metric", "split", "value", "rank", "predicted"]
    tables = [
        Store(str(tmp_path / name))
        .scores(columns=columns)
        .sort_by([(c, "ascending") for c in columns[:3]])
        for name in ("store", "undisturbed")
    ]
    assert tables[0].equals(tables[1])
